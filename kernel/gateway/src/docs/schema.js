// Schemas: following references, naming types, making examples up, and showing all that. Served as the second part of
// /docs/app.js.

const state = { doc: null, tags: [], operations: [], byId: new Map() };

/** Follows local references, however long the chain; a circle of them ends it. */
function resolve(node) {
  const seen = new Set();
  let current = node;
  while (current && typeof current === 'object' && current.$ref && !seen.has(current.$ref)) {
    seen.add(current.$ref);
    const { $ref, ...beside } = current;
    const target = $ref.replace(/^#\//, '').split('/').reduce(
      (value, key) => value?.[decodeURIComponent(key).replace(/~1/g, '/').replace(/~0/g, '~')], state.doc);
    if (!target) return { description: `unresolved reference ${$ref}` };
    current = { ...target, ...beside };
  }
  return current ?? {};
}

const refName = (node) => node?.$ref?.split('/').pop();

/** A schema with its references and allOf folded into one. */
function fold(schema, depth = 0) {
  const resolved = schema === true || schema === undefined ? {} : schema === false ? { not: {} } : resolve(schema);
  if (!resolved.allOf || depth > 20) return resolved;
  const { allOf, ...own } = resolved;
  const merged = { ...own, properties: { ...own.properties }, required: [...(own.required || [])] };
  for (const part of allOf) {
    const { properties, required, ...other } = fold(part, depth + 1);
    Object.assign(merged.properties, properties);
    merged.required.push(...(required || []));
    for (const [key, value] of Object.entries(other)) if (!(key in merged)) merged[key] = value;
  }
  return merged;
}

const isNull = (schema) => schema?.type === 'null' || schema?.const === null;
const variantsOf = (schema) => (schema.oneOf || schema.anyOf || []).filter((variant) => !isNull(variant));
const typesOf = (schema) => [schema.type].flat().filter((type) => type && type !== 'null');
const nullable = (schema) => [schema.type].flat().includes('null') || (schema.oneOf || schema.anyOf || []).some(isNull);

/** "An optional reference" is often written as a choice with null: one variant is no choice. */
function simplify(raw) {
  const schema = fold(raw);
  const variants = variantsOf(schema);
  if (variants.length !== 1 || schema.properties) return { schema, name: refName(raw), orNull: nullable(schema) };
  const inner = simplify(variants[0]);
  const { oneOf, anyOf, ...beside } = schema;
  return { schema: { ...inner.schema, ...beside, type: inner.schema.type }, name: inner.name, orNull: inner.orNull || nullable(schema) };
}

function typeName(raw, depth = 0) {
  const { schema, name, orNull } = simplify(raw);
  const variants = variantsOf(schema);
  let text;
  if (schema.const !== undefined) text = JSON.stringify(schema.const);
  else if (typesOf(schema).includes('array')) text = depth > 3 ? 'array' : `${typeName(schema.items, depth + 1)}[]`;
  else if (name) text = name;
  else if (variants.length) text = depth > 3 ? 'one of several' : variants.map((variant) => fold(variant).title || typeName(variant, depth + 1)).join(' | ');
  else text = typesOf(schema).join(' | ') || (schema.properties ? 'object' : 'any');
  if (schema.format) text += ` <${schema.format}>`;
  return orNull ? `${text} | null` : text;
}

const BOUNDS = [
  ['minimum', '≥ '], ['maximum', '≤ '], ['exclusiveMinimum', '> '], ['exclusiveMaximum', '< '], ['multipleOf', 'multiple of '],
  ['minLength', 'length ≥ '], ['maxLength', 'length ≤ '], ['minItems', 'items ≥ '], ['maxItems', 'items ≤ '],
  ['minProperties', 'entries ≥ '], ['maxProperties', 'entries ≤ '], ['pattern', 'matches '],
];

function constraints(schema) {
  const found = BOUNDS.filter(([key]) => schema[key] !== undefined).map(([key, text]) => el('code.bound', text + schema[key]));
  if (schema.uniqueItems) found.push(el('code.bound', 'unique'));
  if (schema.default !== undefined) found.push(el('code.bound', `default ${JSON.stringify(schema.default)}`));
  const list = schema.enum && el('div.enum', 'one of ', schema.enum.map((value) => el('code', JSON.stringify(value))));
  return found.length || list ? el('div.bounds', found, list) : null;
}

/** An example value, given or made up from the schema. `hidden` names the fields that the direction leaves out. */
function sample(raw, hidden, inside = []) {
  const { schema, name } = simplify(raw);
  if (schema.example !== undefined) return schema.example;
  if (schema.examples?.length) return schema.examples[0];
  if (schema.default !== undefined && schema.default !== null) return schema.default;
  if (schema.const !== undefined) return schema.const;
  if (schema.enum?.length) return schema.enum[0];
  const below = name ? [...inside, name] : [...inside, ''];
  const variants = variantsOf(schema);
  if (variants.length && !schema.properties) return below.length > 8 ? null : sample(variants[0], hidden, below);
  const type = typesOf(schema)[0] || (schema.properties ? 'object' : undefined);
  if (type === 'object') {
    const value = {};
    if (below.length > 8 || (name && inside.includes(name))) return value;
    for (const [key, property] of Object.entries(schema.properties || {})) {
      if (!simplify(property).schema[hidden]) value[key] = sample(property, hidden, below);
    }
    return value;
  }
  if (type === 'array') {
    const again = below.length > 8 || below.includes(simplify(schema.items).name || 0);
    return again ? [] : [sample(schema.items, hidden, below)];
  }
  if (type === 'integer' || type === 'number') return schema.minimum ?? 0;
  if (type === 'boolean') return true;
  if (type === 'string') {
    return { 'date-time': '2026-01-31T12:00:00Z', date: '2026-01-31', email: 'ada@example.com', uri: '/', uuid: '01890a5d-ac96-774b-bcce-b302099a8057' }[schema.format] ?? 'string';
  }
  return null;
}

function mediaExample(media, hidden) {
  if (media.example !== undefined) return media.example;
  const named = Object.values(media.examples || {}).map(resolve).find((example) => example.value !== undefined);
  return named ? named.value : sample(media.schema, hidden);
}

const parameterExample = (parameter) => {
  const named = Object.values(parameter.examples || {}).map(resolve)[0]?.value;
  return String(parameter.example ?? named ?? sample(parameter.schema, 'readOnly'));
};

// ---- schemas -------------------------------------------------------------------------------------------------------

/** What can be opened below a type; nothing for plain values. */
function childrenOf(raw) {
  const { schema } = simplify(raw);
  if (typesOf(schema).includes('array')) return childrenOf(schema.items);
  const variants = variantsOf(schema);
  const extra = typeof schema.additionalProperties === 'object' ? schema.additionalProperties : null;
  if (!Object.keys(schema.properties || {}).length && !variants.length && !extra) return null;
  return () => {
    const required = new Set(schema.required);
    const rows = Object.entries(schema.properties || {}).map(([name, property]) => field(name, property, required.has(name)));
    if (extra) rows.push(field('any other name', extra, false));
    const choices = variants.map((variant, index) => {
      const below = childrenOf(variant);
      const title = el('span.variant', `${index + 1}. ${fold(variant).title || typeName(variant)}`);
      return el('div.choice', below ? lazyDetails([title], below, index === 0) : title, markdown(fold(variant).description));
    });
    return el('div.fields', rows, choices.length ? el('div.choices', el('div.hint', 'One of'), choices) : null);
  };
}

/** A collapsible part that is built when it is first opened: schemas may contain themselves. */
function lazyDetails(summary, build, open) {
  const details = el('details', { open }, el('summary', summary));
  let built = false;
  const show = () => {
    if (built || !details.open) return;
    built = true;
    details.append(build());
  };
  details.addEventListener('toggle', show);
  show();
  return details;
}

function field(name, raw, required, where) {
  const { schema } = simplify(raw);
  const head = [
    el('span.name', name),
    el('span.type', typeName(raw)),
    required ? el('span.required', 'required') : null,
    schema.deprecated ? el('span.flag', 'deprecated') : null,
    schema.readOnly ? el('span.flag', 'read only') : null,
    schema.writeOnly ? el('span.flag', 'write only') : null,
    where ? el('span.flag', where) : null,
  ];
  const below = childrenOf(raw);
  return el('div.field', below ? lazyDetails(head, below, false) : el('div.head', head), markdown(schema.description), constraints(schema));
}

function schemaView(raw) {
  const below = childrenOf(raw);
  const { schema } = simplify(raw);
  const type = typeName(raw);
  return el('div.schema', type === 'object' ? null : el('div.hint', el('code', type)), below ? below() : [markdown(schema.description), constraints(schema)]);
}
