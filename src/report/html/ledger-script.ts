/**
 * The page's only script: the ledger of each target, searched and sorted as one types. Rows are written as text, never
 * as HTML, and only as many as a reader can take in.
 */
export const LEDGER_SCRIPT = `
'use strict';
const SHOWN = 300;
for (const place of document.querySelectorAll('[data-ledger]')) {
  const { columns, rows } = JSON.parse(document.getElementById(place.dataset.ledger).textContent);
  const input = place.querySelector('input');
  const head = place.querySelector('thead tr');
  const body = place.querySelector('tbody');
  const count = place.querySelector('.count');
  let order = -1, down = false;
  const text = rows.map((row) => row.join(' ').toLowerCase());
  const show = () => {
    const words = input.value.toLowerCase().split(/\\s+/).filter(Boolean);
    let found = rows.map((row, index) => index).filter((index) => words.every((word) => text[index].includes(word)));
    if (order >= 0) found.sort((a, b) => {
      const [x, y] = [rows[a][order], rows[b][order]];
      if (x === y) return a - b;
      if (x === null || x === '') return 1;
      if (y === null || y === '') return -1;
      return (x < y ? -1 : 1) * (down ? -1 : 1);
    });
    count.textContent = found.length + ' of ' + rows.length + (found.length > SHOWN ? ', the first ' + SHOWN + ' shown' : '');
    body.replaceChildren(...found.slice(0, SHOWN).map((index) => {
      const line = document.createElement('tr');
      rows[index].forEach((cell, column) => {
        const box = line.insertCell();
        box.textContent = cell === null ? '' : typeof cell === 'number' ? String(Number(cell.toPrecision(4))) : cell;
        box.className = typeof cell === 'number' ? 'number' : column === 0 ? 'name' : '';
      });
      return line;
    }));
  };
  columns.forEach((name, column) => {
    const box = document.createElement('th');
    box.textContent = name;
    box.addEventListener('click', () => { down = order === column && !down; order = column; show(); });
    head.append(box);
  });
  input.addEventListener('input', show);
  for (const button of place.querySelectorAll('button'))
    button.addEventListener('click', () => { input.value = button.value; show(); });
  show();
}
`;
