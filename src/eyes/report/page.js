// Tables can be sorted by a click on a head; without scripts they stay in their order.
for (const head of document.querySelectorAll('th')) {
  if (!head.textContent) continue;
  head.classList.add('s');
  head.tabIndex = 0;
  const sort = () => {
    const table = head.closest('table'), body = table.tBodies[0], at = head.cellIndex;
    const down = head.getAttribute('aria-sort') !== 'descending';
    for (const other of table.querySelectorAll('th')) other.removeAttribute('aria-sort');
    head.setAttribute('aria-sort', down ? 'descending' : 'ascending');
    const value = row => row.cells[at].dataset.v === undefined ? row.cells[at].textContent : Number(row.cells[at].dataset.v);
    const order = (a, b) => typeof a === 'number' && typeof b === 'number' ? a - b : String(a).localeCompare(String(b));
    body.append(...[...body.rows].sort((a, b) => (down ? -1 : 1) * order(value(a), value(b))));
  };
  head.addEventListener('click', sort);
  head.addEventListener('keydown', event => { if (event.key === 'Enter') sort(); });
}
