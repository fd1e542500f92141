/**
 * The page's only script: the ledger of each target, searched and sorted as one types; `/` goes to the nearest search,
 * Escape clears it; sections that are closed are opened to be printed. Rows are written as text, never as HTML, and only
 * as many as a reader can take in.
 */
export const PAGE_SCRIPT = `
'use strict';
const SHOWN = 100;
const { columns, numbers, words, rows: ledgers } = JSON.parse(document.getElementById('ledgers').textContent);
const number = new Set(numbers);
for (const place of document.querySelectorAll('[data-ledger]')) {
  const rows = ledgers[place.dataset.ledger].map((row) => row.map((cell, at) => number.has(at) ? cell : words[cell]));
  const input = place.querySelector('input');
  const head = place.querySelector('thead tr');
  const body = place.querySelector('tbody');
  const count = place.querySelector('.count');
  let order = -1, down = false, shown = SHOWN, text;
  const show = () => {
    text ??= rows.map((row) => row.join(' ').toLowerCase());
    const asked = input.value.toLowerCase().split(/\\s+/).filter(Boolean);
    const found = [...rows.keys()].filter((index) => asked.every((word) => text[index].includes(word)));
    if (order >= 0) found.sort((a, b) => {
      const [x, y] = [rows[a][order], rows[b][order]];
      if (x === y) return a - b;
      if (x === null || x === '') return 1;
      if (y === null || y === '') return -1;
      return (x < y ? -1 : 1) * (down ? -1 : 1);
    });
    count.textContent = found.length + ' of ' + rows.length + (found.length > shown ? ', the first ' + shown + ' shown' : '');
    const lines = found.slice(0, shown).map((index) => {
      const line = document.createElement('tr');
      rows[index].forEach((cell, column) => {
        const box = line.insertCell();
        box.textContent = cell === null ? '' : number.has(column) ? cell.toLocaleString('en') : cell;
        box.className = number.has(column) ? 'number' : column === 0 ? 'name' : column === 7 ? 'why' : '';
      });
      return line;
    });
    if (found.length > shown) {
      const line = document.createElement('tr');
      const box = line.insertCell();
      box.colSpan = columns.length;
      const more = document.createElement('button');
      more.type = 'button';
      more.textContent = 'show more';
      more.addEventListener('click', () => { shown *= 4; show(); });
      box.append(more);
      lines.push(line);
    }
    body.replaceChildren(...lines);
  };
  const fresh = () => { shown = SHOWN; show(); };
  columns.forEach((name, column) => {
    const box = document.createElement('th');
    const button = document.createElement('button');
    button.type = 'button';
    button.textContent = name;
    button.addEventListener('click', () => {
      down = order === column && !down;
      order = column;
      for (const each of head.cells) each.removeAttribute('aria-sort');
      box.setAttribute('aria-sort', down ? 'descending' : 'ascending');
      fresh();
    });
    if (number.has(column)) box.className = 'number';
    box.append(button);
    head.append(box);
  });
  input.addEventListener('input', fresh);
  input.addEventListener('keydown', (event) => {
    if (event.key !== 'Escape') return;
    input.value = '';
    fresh();
  });
  for (const button of place.querySelectorAll('.search button'))
    button.addEventListener('click', () => { input.value = button.value; fresh(); });
  show();
}
document.addEventListener('keydown', (event) => {
  if (event.key !== '/' || event.ctrlKey || event.metaKey || event.altKey || /^(INPUT|TEXTAREA)$/.test(event.target.tagName)) return;
  const inputs = [...document.querySelectorAll('[data-ledger] input')];
  const middle = innerHeight / 2;
  const away = (input) => Math.abs(input.getBoundingClientRect().top - middle);
  const [nearest] = inputs.sort((a, b) => away(a) - away(b));
  if (nearest === undefined) return;
  event.preventDefault();
  for (let at = nearest; at; at = at.parentElement) if (at.tagName === 'DETAILS') at.open = true;
  nearest.focus();
  nearest.scrollIntoView({ block: 'center' });
});
addEventListener('beforeprint', () => { for (const each of document.querySelectorAll('details')) each.open = true; });
`;
