/** Text that is HTML, so that what is not can be told from it and escaped. */
export class Markup {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }
}

type Part = Markup | string | number | undefined | false | readonly Part[];

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

/** Names of nodes, values and files are whatever a model says: nothing of them becomes a tag. */
const escaped = (text: string): string => text.replace(/[&<>"']/g, (each) => ENTITIES[each]!);

function textOf(part: Part): string {
  if (part instanceof Markup) return part.text;
  if (Array.isArray(part)) return part.map(textOf).join('');
  return part === undefined || part === false ? '' : escaped(String(part));
}

/** A template of HTML: what is put in is escaped, unless it is HTML itself. */
export const html = (strings: TemplateStringsArray, ...parts: readonly Part[]): Markup =>
  new Markup(
    strings.map((each, index) => each + (index < parts.length ? textOf(parts[index]) : '')).join(''),
  );

/** Data for a script of the page. Escaped so that nothing in it ends the element that it stands in. */
export const json = (id: string, data: unknown): Markup =>
  new Markup(
    `<script type="application/json" id="${id}">${JSON.stringify(data).replace(/</g, '\\u003c')}</script>`,
  );
