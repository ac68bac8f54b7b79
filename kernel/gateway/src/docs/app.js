// The reference itself: renders /api/v1/openapi.json. Served after dom.js and schema.js as one script.

const METHODS = ['get', 'post', 'put', 'patch', 'delete', 'head', 'options'];

// ---- operations ----------------------------------------------------------------------------------------------------

const badge = (method) => el(`span.method.m-${method}`, method === 'delete' ? 'DEL' : method.toUpperCase());
const list = (value) => (value === undefined || value === null ? [] : [value].flat());

function pathParts(path) {
  return path.split(/(\{[^}]+\})/).map((part) => (part.startsWith('{') ? el('span.var', part) : part));
}

function curl(operation) {
  const quote = (text) => `'${text.replace(/'/g, "'\\''")}'`;
  const server = state.doc.servers?.[0]?.url || '';
  const base = new URL(server, location.origin).href.replace(/\/$/, '');
  const query = operation.parameters.filter((parameter) => parameter.in === 'query' && parameter.required)
    .map((parameter) => `${encodeURIComponent(parameter.name)}=${encodeURIComponent(parameterExample(parameter))}`);
  // Braces are a pattern to curl, so a parameter without a real example becomes a word in capitals.
  const path = operation.path.replace(/\{\*?([^}]+)\}/g, (_, name) => {
    const parameter = operation.parameters.find((one) => one.in === 'path' && one.name === name);
    const value = parameter ? parameterExample(parameter) : 'string';
    return value === 'string' ? name.toUpperCase() : encodeURIComponent(value);
  });
  const lines = [`curl ${operation.method === 'get' ? '' : `-X ${operation.method.toUpperCase()} `}"${base}${path}${query.length ? `?${query.join('&')}` : ''}"`];
  if (operation.secured) lines.push('-H "Authorization: Bearer $TOKEN"');
  for (const parameter of operation.parameters.filter((one) => one.in === 'header' && one.required)) {
    lines.push(`-H ${quote(`${parameter.name}: ${parameterExample(parameter)}`)}`);
  }
  const [kind, media] = Object.entries(operation.body?.content || {})[0] || [];
  if (kind === 'multipart/form-data') {
    for (const [name, part] of Object.entries(fold(media.schema).properties || {})) {
      const file = fold(part).format === 'binary' || fold(part).contentMediaType;
      lines.push(`-F ${quote(file ? `${name}=@file` : `${name}=${sample(part, 'readOnly')}`)}`);
    }
  } else if (kind) {
    lines.push(`-H ${quote(`Content-Type: ${kind}`)}`);
    lines.push(kind.includes('json') ? `-d ${quote(JSON.stringify(mediaExample(media, 'readOnly'), null, 2))}` : '--data-binary @file');
  }
  return lines.join(' \\\n  ');
}

function parametersView(operation) {
  const groups = [['path', 'Path'], ['query', 'Query'], ['header', 'Headers'], ['cookie', 'Cookies']];
  return groups.map(([kind, title]) => {
    const found = operation.parameters.filter((parameter) => parameter.in === kind);
    if (!found.length) return null;
    return el('section', el('h3', title), el('div.fields', found.map((parameter) => {
      const row = field(parameter.name, { ...parameter.schema, description: undefined }, parameter.required, parameter.deprecated ? 'deprecated' : null);
      row.querySelector('.head, details').after(markdown(parameter.description || fold(parameter.schema).description) || '');
      return row;
    })));
  });
}

function bodyView(operation) {
  if (!operation.body) return null;
  return el('section', el('h3', 'Request body', operation.body.required ? el('span.required', 'required') : null),
    markdown(operation.body.description),
    Object.entries(operation.body.content || {}).map(([kind, media]) => [el('div.kind', kind), schemaView(media.schema)]));
}

/** Error codes, from the x-codes extension or from the examples of a response. */
function errorCodes(response) {
  const codes = list(response['x-codes']).map((entry) => (typeof entry === 'string' ? { code: entry } : entry));
  for (const media of Object.values(response.content || {})) {
    const values = [media.example, ...Object.values(media.examples || {}).map((example) => resolve(example).value)];
    for (const value of values) {
      if (value?.code && !codes.some((known) => known.code === value.code)) codes.push({ code: value.code, description: value.detail || value.title });
    }
  }
  return codes;
}

function responsesView(operation) {
  const all = operation.responses;
  if (!all.length) return null;
  const good = all.filter(([status]) => /^[123]/.test(status));
  const bad = all.filter(([status]) => !/^[123]/.test(status));
  const status = (code) => el(`span.status.s-${code[0]}`, code);
  const headers = (response) => {
    const found = Object.entries(response.headers || {});
    return found.length ? el('div.fields', found.map(([name, header]) => {
      const resolved = resolve(header);
      return field(name, { ...resolved.schema, description: resolved.description }, resolved.required, 'header');
    })) : null;
  };
  return [
    good.length ? el('section', el('h3', 'Responses'), good.map(([code, response]) => {
      const content = Object.entries(response.content || {});
      const title = [status(code), el('span.grow', response.description)];
      if (!content.length && !response.headers) return el('div.response', el('div.head', title));
      return el('div.response', lazyDetails(title, () => el('div', headers(response),
        content.map(([kind, media]) => [el('div.kind', kind), media.schema ? schemaView(media.schema) : null])), code === good[0][0]));
    })) : null,
    bad.length ? el('section', el('h3', 'Errors'), el('div.errors', bad.map(([code, response]) => el('div.error', status(code), el('div',
      el('span', response.description), errorCodes(response).map((entry) => el('div.errcode', el('code', entry.code), entry.description ? ` ${entry.description}` : null))))))) : null,
  ];
}

function examplesView(operation) {
  const [code, response] = operation.responses.find(([status, one]) => status.startsWith('2') && Object.keys(one.content || {}).some((kind) => kind.includes('json'))) || [];
  if (!response) return null;
  const [, media] = Object.entries(response.content).find(([kind]) => kind.includes('json'));
  const example = mediaExample(media, 'writeOnly');
  return example === undefined || example === null ? null : jsonBlock(example, `${code} example`);
}

function operationView(operation) {
  const command = curl(operation);
  const deprecated = operation.raw.deprecated;
  return el('article.op', { id: `op-${operation.id}` },
    el('div.op-main',
      el('h2', el('a.anchor', { href: `#/op/${encodeURIComponent(operation.id)}` }, operation.summary || operation.id), deprecated ? el('span.flag', 'deprecated') : null),
      el('div.route', badge(operation.method), el('code', pathParts(operation.path))),
      el('div.pills',
        operation.permissions.map((permission) => el('span.pill.key', { title: 'Permission needed' }, permission)),
        operation.secured ? null : el('span.pill.open', 'no sign-in')),
      markdown(operation.raw.description),
      parametersView(operation), bodyView(operation), responsesView(operation)),
    el('aside.op-side', codeBlock(command, command, 'curl'), examplesView(operation)));
}

// ---- pages ---------------------------------------------------------------------------------------------------------

function overview() {
  const { info } = state.doc;
  return el('div.overview', el('h1', info.title), markdown(info.description),
    el('p.hint', `${state.operations.length} operations in ${state.tags.length} areas. Press / to search.`),
    el('div.cards', state.tags.map((tag) => el('a.card', { href: `#/tag/${encodeURIComponent(tag.name)}` },
      el('strong', tag.name), el('span.hint', `${tag.operations.length} operation${tag.operations.length === 1 ? '' : 's'}`),
      tag.description ? el('span.card-text', tag.description.split(/\n\s*\n/)[0].replace(/[`*]/g, '')) : null))));
}

const tagPage = (tag) => el('div', el('h1', tag.name), markdown(tag.description), tag.operations.map(operationView));

function results(query) {
  const words = query.toLowerCase().split(/\s+/).filter(Boolean);
  const found = state.operations
    .map((operation) => ({ operation, near: words.every((word) => operation.near.includes(word)), far: words.every((word) => operation.text().includes(word)) }))
    .filter((hit) => hit.near || hit.far)
    .sort((a, b) => b.near - a.near);
  return el('div.results', el('h1', found.length ? `${found.length} found` : 'Nothing found'),
    el('p.hint', found.length ? 'Matches in path and summary come first.' : 'Words are searched in paths, summaries, descriptions and field names.'),
    found.map(({ operation }) => el('a.result', { href: `#/op/${encodeURIComponent(operation.id)}` },
      badge(operation.method), el('code', pathParts(operation.path)), el('span.hint', operation.summary))));
}

function show(...content) {
  $('main').replaceChildren(...content);
}

function route() {
  const [, kind, rest] = /^#\/(tag|op)\/(.+)$/.exec(location.hash) || [];
  let name = rest || '';
  try { name = decodeURIComponent(name); } catch { /* a stray percent sign is part of the name */ }
  const operation = kind === 'op' ? state.byId.get(name) : null;
  const tag = state.tags.find((one) => one.name === (operation ? operation.tag : kind === 'tag' ? name : null));
  show(tag ? tagPage(tag) : overview());
  if (operation) $(`op-${operation.id}`).scrollIntoView();
  else scrollTo(0, 0);
  document.title = [operation?.summary || tag?.name, state.doc.info.title].filter(Boolean).join(' · ');
  for (const link of $('nav').querySelectorAll('a')) {
    const current = link.hash === location.hash;
    link.removeAttribute('aria-current');
    if (current) {
      link.setAttribute('aria-current', 'page');
      link.closest('details')?.setAttribute('open', '');
      link.scrollIntoView({ block: 'nearest' });
    }
  }
  const group = tag && [...$('nav').querySelectorAll('details')].find((details) => details.dataset.tag === tag.name);
  if (group) group.open = true;
  openMenu(false);
}

function navigation() {
  $('nav').replaceChildren(...state.tags.map((tag) => el('details', { 'data-tag': tag.name },
    el('summary', tag.name, el('span.count', tag.operations.length)),
    el('a.all', { href: `#/tag/${encodeURIComponent(tag.name)}` }, 'Overview'),
    tag.operations.map((operation) => el('a', { href: `#/op/${encodeURIComponent(operation.id)}`, title: operation.path },
      badge(operation.method), el('span', operation.summary || operation.path))))));
}

function openMenu(open) {
  document.body.classList.toggle('menu', open);
  $('menu').setAttribute('aria-expanded', String(open));
}

// ---- start ---------------------------------------------------------------------------------------------------------

function index(doc) {
  state.doc = doc;
  const tags = new Map((doc.tags || []).map((tag) => [tag.name, { ...tag, operations: [] }]));
  for (const [path, shared] of Object.entries(doc.paths || {})) {
    const item = resolve(shared);
    for (const method of METHODS.filter((one) => item[one])) {
      const raw = item[method];
      const tag = raw.tags?.[0] || 'other';
      if (!tags.has(tag)) tags.set(tag, { name: tag, operations: [] });
      const own = (raw.parameters || []).map(resolve);
      const inherited = (item.parameters || []).map(resolve).filter((one) => !own.some((other) => other.name === one.name && other.in === one.in));
      const operation = {
        id: raw.operationId || `${method} ${path}`, method, path, raw, tag,
        summary: raw.summary || '',
        parameters: [...inherited, ...own],
        body: raw.requestBody && resolve(raw.requestBody),
        responses: Object.entries(raw.responses || {}).map(([code, response]) => [code, resolve(response)]).sort(([a], [b]) => a.localeCompare(b)),
        permissions: list(raw['x-permission']),
        secured: (raw.security ?? doc.security ?? []).some((scheme) => Object.keys(scheme).length > 0),
        near: `${method} ${path} ${raw.summary || ''} ${raw.operationId || ''} ${tag}`.toLowerCase(),
      };
      // Collected when first searched: references widen it a lot.
      let text;
      operation.text = () => (text ??= `${operation.near} ${JSON.stringify(raw)} ${words(raw)}`.toLowerCase());
      tags.get(tag).operations.push(operation);
      state.operations.push(operation);
      state.byId.set(operation.id, operation);
    }
  }
  state.tags = [...tags.values()].filter((tag) => tag.operations.length);
}

/** The field names behind the references of an operation. */
function words(node, seen = new Set()) {
  if (!node || typeof node !== 'object') return '';
  let text = '';
  if (node.$ref && !seen.has(node.$ref)) {
    seen.add(node.$ref);
    text += words(resolve(node), seen);
  }
  if (node.properties && !Array.isArray(node.properties)) text += ` ${Object.keys(node.properties).join(' ')}`;
  for (const value of Object.values(node)) text += words(value, seen);
  return text;
}

function listen() {
  let timer;
  $('search').addEventListener('input', () => {
    clearTimeout(timer);
    timer = setTimeout(() => {
      const query = $('search').value.trim();
      if (query) show(results(query));
      else route();
    }, 80);
  });
  addEventListener('hashchange', () => {
    $('search').value = '';
    route();
  });
  addEventListener('keydown', (event) => {
    const typing = /^(INPUT|TEXTAREA|SELECT)$/.test(document.activeElement?.tagName);
    if (event.key === '/' && !typing && !event.ctrlKey && !event.metaKey && !event.altKey) {
      event.preventDefault();
      $('search').focus();
    } else if (event.key === 'Escape') {
      if (document.activeElement === $('search')) {
        $('search').value = '';
        $('search').blur();
        route();
      }
      openMenu(false);
    } else if (event.key === 'Enter' && document.activeElement === $('search')) {
      $('main').querySelector('a.result')?.click();
    }
  });
  // The hash of a result may be the one that is shown already; then no hashchange comes.
  $('main').addEventListener('click', (event) => {
    const link = event.target.closest('a.result');
    if (link && link.hash === location.hash) {
      $('search').value = '';
      route();
    }
  });
  $('menu').addEventListener('click', () => openMenu(!document.body.classList.contains('menu')));
}

async function start() {
  let response;
  try {
    response = await fetch('/api/v1/openapi.json', { headers: { accept: 'application/json' } });
    if (!response.ok) throw new Error(`the server answered ${response.status}`);
    index(await response.json());
  } catch (error) {
    show(el('p.note.bad', { role: 'alert' }, `The description could not be loaded: ${error.message}. Reload the page to try again.`));
    return;
  }
  $('title').textContent = state.doc.info.title;
  $('version').textContent = state.doc.info.version;
  $('version').hidden = !state.doc.info.version;
  navigation();
  listen();
  route();
}

start();
