/** The page's style: one column, both light and dark, nothing loaded from anywhere. */
export const STYLE = `
:root { color-scheme: light dark; --line: #8884; --soft: #8882; --good: #2a9d6a; --fair: #d99a2b; --poor: #cc4b4b; --plain: #8899aa; }
* { box-sizing: border-box; }
body { font: 15px/1.5 system-ui, sans-serif; margin: 0 auto; max-width: 70rem; padding: 1.5rem; }
h1 { font-size: 1.4rem; margin: 0 0 .25rem; } h2 { font-size: 1.15rem; margin: 2rem 0 .5rem; } h3 { font-size: 1rem; margin: 1.5rem 0 .5rem; }
nav a { margin-right: 1rem; } code, td.name { font-family: ui-monospace, monospace; font-size: .86em; overflow-wrap: anywhere; }
.cards { display: grid; gap: 1rem; grid-template-columns: repeat(auto-fit, minmax(17rem, 1fr)); }
.card { border: 1px solid var(--line); border-radius: .5rem; padding: .75rem 1rem; } .card h3 { margin: 0 0 .5rem; }
.bar { display: grid; grid-template-columns: minmax(4rem, 12rem) 1fr 6.5rem; gap: .5rem; align-items: center; }
.card .bar { grid-template-columns: minmax(3rem, 7rem) 1fr 6rem; }
.bar .label { overflow: hidden; text-overflow: ellipsis; white-space: nowrap; } .bar .figure { text-align: right; font-variant-numeric: tabular-nums; }
.track { background: var(--soft); border-radius: .2rem; height: .8rem; overflow: hidden; } .fill { display: block; height: 100%; }
.fill.good { background: var(--good); } .fill.fair { background: var(--fair); } .fill.poor { background: var(--poor); } .fill.plain { background: var(--plain); }
.tag { border-radius: .3rem; padding: 0 .4rem; background: var(--soft); } .tag.good { background: var(--good); color: #fff; } .tag.poor { background: var(--poor); color: #fff; } .tag.fair { background: var(--fair); color: #fff; }
table { border-collapse: collapse; width: 100%; } td, th { border-bottom: 1px solid var(--line); padding: .2rem .5rem; text-align: left; vertical-align: top; }
td.name { min-width: 9rem; }
td.number, th.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
.front { max-width: 40rem; width: 100%; } .front path, .front polyline { fill: none; stroke: currentColor; opacity: .5; } .front circle { fill: var(--plain); } .front circle.chosen { fill: var(--good); } .front text { fill: currentColor; font-size: 12px; }
.search { display: flex; flex-wrap: wrap; gap: .5rem; margin: .5rem 0; } .search input { flex: 1; font: inherit; min-width: 12rem; padding: .3rem .5rem; } .search button { font: inherit; }
.scroll { max-height: 34rem; overflow: auto; border: 1px solid var(--line); border-radius: .5rem; } .scroll th { background: Canvas; position: sticky; top: 0; cursor: pointer; }
.more { opacity: .7; }
`;
