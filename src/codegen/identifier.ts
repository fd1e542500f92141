/** Names of models as names of TypeScript: whatever stands in them, an identifier comes out, and nothing else. */

/** Words between what no identifier may hold, and where lower case turns to upper. */
const WORDS = /[\p{ID_Start}\p{Nd}](?:(?!(?<=\p{Ll}|\p{Nd})\p{Lu})[\p{ID_Continue}])*/gu;

/** Names that objects have already, or that make an object something else. */
const TAKEN = new Set(['then', ...Object.getOwnPropertyNames(Object.prototype)]);

const wordsOf = (name: string): string[] =>
  (name.normalize('NFC').match(WORDS) ?? []).flatMap((word) => word.split('_')).filter((word) => word !== '');

const capital = (word: string): string => {
  const [first = '', ...rest] = word;
  return first.toUpperCase() + rest.join('');
};

/** Words that are capitals throughout are no shouting here. */
const calm = (word: string): string => (word === word.toUpperCase() ? word.toLowerCase() : word);

/** `past_key_values.0.key` → `PastKeyValues0Key`; what has no letters is `fallback`. */
export function pascalCase(name: string, fallback = 'Model'): string {
  const joined = wordsOf(name)
    .map((word) => capital(calm(word)))
    .join('');
  if (joined === '') return fallback;
  return /^\p{ID_Start}/u.test(joined) ? joined : fallback + joined;
}

/** `input_ids` → `inputIds`. */
export function camelCase(name: string, fallback: string): string {
  const [first, ...rest] = wordsOf(name).map(calm);
  if (first === undefined) return fallback;
  const [head = '', ...tail] = first;
  const joined = head.toLowerCase() + tail.join('') + rest.map(capital).join('');
  if (!/^\p{ID_Start}/u.test(joined)) return fallback + capital(joined);
  return TAKEN.has(joined) ? `${joined}_` : joined;
}

/** A name that is not among those taken, which it joins: `x`, `x2`, `x3` … */
export function free(name: string, taken: Set<string>): string {
  let found = name;
  for (let count = 2; taken.has(found); count++) found = `${name}${/\d$/.test(name) ? '_' : ''}${count}`;
  taken.add(found);
  return found;
}

/** Characters that are not seen, or that turn the order of those that are. */
const UNSEEN = /[\p{C}\p{Zl}\p{Zp}]/gu;
const escaped = (text: string): string =>
  text.replace(UNSEEN, (each) =>
    Array.from(
      { length: each.length },
      (_, at) => `\\u${each.charCodeAt(at).toString(16).padStart(4, '0')}`,
    ).join(''),
  );

/** A string as a literal of TypeScript. */
export const literal = (text: string): string =>
  `'${escaped(JSON.stringify(text).slice(1, -1).replaceAll('\\"', '"').replaceAll("'", "\\'"))}'`;

/** Text for a comment, which it cannot end. */
export const remark = (text: string): string =>
  escaped(text).replaceAll('*/', '*\\/').replaceAll('`', "'").replaceAll('@', '\\u0040');
