/** Names of models as names of TypeScript: whatever stands in them, an identifier comes out, and nothing else. */

/**
 * Letters that every compiler knows: not all that this engine's version of Unicode has, since a compiler's may be older.
 * Latin, Greek, Cyrillic, kana, the first block of Han, Hangul.
 */
const LETTER = 'A-Za-zÀ-ÖØ-öø-ɏΑ-ΡΣ-ώА-ӿぁ-ゖァ-ヺ一-龥가-힣';
/** Words between what is neither letter nor digit, and where lower case turns to upper. */
const WORDS = new RegExp(`[${LETTER}0-9](?:(?!(?<=[\\p{Ll}0-9])\\p{Lu})[${LETTER}0-9])*`, 'gu');
const LEADS = new RegExp(`^[${LETTER}]`, 'u');

/** Names that objects have already, or that make an object something else. */
const TAKEN = new Set(['then', ...Object.getOwnPropertyNames(Object.prototype)]);

const wordsOf = (name: string): string[] => name.normalize('NFC').match(WORDS) ?? [];

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
  return LEADS.test(joined) ? joined : fallback + joined;
}

/** `input_ids` → `inputIds`. */
export function camelCase(name: string, fallback: string): string {
  const [first, ...rest] = wordsOf(name).map(calm);
  if (first === undefined) return fallback;
  const [head = '', ...tail] = first;
  const joined = head.toLowerCase() + tail.join('') + rest.map(capital).join('');
  if (!LEADS.test(joined)) return fallback + capital(joined);
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
