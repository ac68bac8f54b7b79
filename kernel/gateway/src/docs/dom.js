// Building blocks: elements, code blocks, the part of Markdown that descriptions use. Text of the description reaches the
// page as text nodes only, never as markup. Served as the first part of /docs/app.js.
'use strict';

const $ = (id) => document.getElementById(id);

/** el('div.note', { id: 'x' }, child, 'text', [more]) */
function el(spec, ...rest) {
  const [tag, ...classes] = spec.split('.');
  const node = document.createElement(tag);
  if (classes.length) node.className = classes.join(' ');
  for (const item of rest.flat(Infinity)) {
    if (item === null || item === undefined || item === false) continue;
    if (item instanceof Node) node.append(item);
    else if (typeof item === 'object') {
      for (const [name, value] of Object.entries(item)) {
        if (typeof value === 'function') node.addEventListener(name, value);
        else if (value !== null && value !== undefined && value !== false) node.setAttribute(name, value === true ? '' : value);
      }
    } else node.append(String(item));
  }
  return node;
}

function copyButton(text) {
  const button = el('button.copy', { type: 'button', 'aria-label': 'Copy' }, 'Copy');
  button.addEventListener('click', async () => {
    try {
      await navigator.clipboard.writeText(text());
      button.textContent = 'Copied';
    } catch {
      // Without a secure context there is no clipboard; a selection is one key away from a copy.
      getSelection().selectAllChildren(button.parentElement.querySelector('code'));
      button.textContent = 'Press Ctrl+C';
    }
    setTimeout(() => { button.textContent = 'Copy'; }, 1500);
  });
  return button;
}

function codeBlock(content, text, label) {
  return el('div.code', label ? el('div.code-label', label) : null, copyButton(() => text), el('pre', { tabindex: 0 }, el('code', content)));
}

const JSON_TOKEN = /("(?:\\.|[^"\\])*")(\s*:)?|\b(true|false|null)\b|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/g;

function jsonBlock(value, label) {
  const text = JSON.stringify(value, null, 2);
  const parts = [];
  let at = 0;
  for (const match of text.matchAll(JSON_TOKEN)) {
    parts.push(text.slice(at, match.index));
    if (match[1]) parts.push(el(match[2] ? 'span.j-key' : 'span.j-str', match[1]), match[2] || '');
    else parts.push(el(match[3] ? 'span.j-lit' : 'span.j-num', match[0]));
    at = match.index + match[0].length;
  }
  parts.push(text.slice(at));
  return codeBlock(parts, text, label);
}

/** The part of Markdown that descriptions use: paragraphs, lists, code, emphasis, links. */
function markdown(text) {
  if (!text) return null;
  return el('div.text', text.trim().split(/\n\s*\n/).map((block) => {
    if (block.startsWith('```')) {
      const code = block.replace(/^```\w*\n?/, '').replace(/\n?```$/, '');
      return codeBlock(code, code);
    }
    const lines = block.split('\n');
    const heading = lines.length === 1 && /^#{1,6}\s+(.*)$/.exec(block);
    if (heading) return el('h4', inline(heading[1]));
    if (lines.every((line) => /^\s*([-*]\s|\s{2,}\S)/.test(line)) && /^\s*[-*]\s/.test(block)) {
      return el('ul', block.split(/\n(?=\s*[-*]\s)/).map((item) => el('li', inline(item.replace(/^\s*[-*]\s+/, '').replace(/\n\s*/g, ' ')))));
    }
    return el('p', inline(lines.join(' ')));
  }));
}

function inline(text) {
  const parts = [];
  let at = 0;
  for (const match of text.matchAll(/`([^`]+)`|\*\*([^*]+)\*\*|\[([^\]]+)\]\(([^)\s]+)\)|\*([^\s*][^*]*)\*/g)) {
    parts.push(text.slice(at, match.index));
    if (match[1]) parts.push(el('code', match[1]));
    else if (match[2]) parts.push(el('strong', match[2]));
    else if (match[5]) parts.push(el('em', match[5]));
    else if (/^(https?:|\/|#)/.test(match[4])) parts.push(el('a', { href: match[4], rel: 'noreferrer' }, match[3]));
    else parts.push(match[3]);
    at = match.index + match[0].length;
  }
  parts.push(text.slice(at));
  return parts;
}
