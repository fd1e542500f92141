/** The page's style: one column, both light and dark, for screens of any width and for paper; nothing is loaded. */
export const STYLE = `
:root { color-scheme: light dark; --line: #8884; --soft: #8882; --ink: #1f6feb; --good: #2a9d6a; --fair: #d1902a; --poor: #cc4b4b; --plain: #8899aa; }
@media (prefers-color-scheme: dark) { :root { --ink: #6ea8fe; --good: #3fb27f; --fair: #d9a441; --poor: #e06666; } }
* { box-sizing: border-box; }
html { scroll-padding-top: 4rem; }
body { font: 15px/1.5 system-ui, sans-serif; margin: 0 auto; max-width: 72rem; padding: 0 1.25rem 3rem; }
h1 { font-size: 1.1rem; margin: 0; } h2 { font-size: 1.25rem; margin: 2.2rem 0 .6rem; } h3 { font-size: 1rem; margin: 1.2rem 0 .5rem; } h4 { font-size: .95rem; margin: 1rem 0 .4rem; }
a { color: var(--ink); } p { margin: .3rem 0 .6rem; }
header { position: sticky; top: 0; z-index: 2; background: Canvas; border-bottom: 1px solid var(--line); display: flex; gap: .3rem 1.2rem; flex-wrap: wrap; align-items: baseline; padding: .55rem 0; }
header nav { display: flex; gap: .2rem .9rem; overflow-x: auto; white-space: nowrap; } header nav a { text-decoration: none; } header nav b { font-weight: 600; font-variant-numeric: tabular-nums; color: CanvasText; }
code, td.name { font-family: ui-monospace, monospace; font-size: .86em; overflow-wrap: anywhere; }
details { border-top: 1px solid var(--line); padding: .5rem 0; } summary { cursor: pointer; font-weight: 600; } summary .more { font-weight: 400; margin-left: .5rem; }
.cards { display: grid; gap: 1rem; grid-template-columns: repeat(auto-fit, minmax(min(15.5rem, 100%), 1fr)); margin-bottom: 1rem; }
.card { border: 1px solid var(--line); border-radius: .5rem; padding: .7rem .9rem; min-width: 0; } .card h3 { margin: 0 0 .4rem; }
.bars { display: grid; gap: .15rem .6rem; grid-template-columns: fit-content(22rem) minmax(3rem, 1fr) max-content; } .bar { display: grid; grid-column: 1 / -1; grid-template-columns: subgrid; align-items: center; }
.card .bar .label { max-width: 9rem; } .card .bars { grid-template-columns: minmax(min-content, auto) minmax(2rem, 1fr) max-content; }
.bar .label { overflow: hidden; text-overflow: ellipsis; white-space: nowrap; } .bar .figure { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
.track { background: var(--soft); border-radius: .2rem; height: .75rem; overflow: hidden; } .fill { display: block; height: 100%; }
.fill.good { background: var(--good); } .fill.fair { background: var(--fair); } .fill.poor { background: var(--poor); } .fill.plain { background: var(--plain); }
.tag { border-radius: .3rem; padding: 0 .4rem; background: var(--soft); } .tag.good, .tag.poor, .tag.fair { color: #fff; } .tag.good { background: #23805a; } .tag.poor { background: #b93c3c; } .tag.fair { background: #94651a; }
.wide { overflow-x: auto; } table { border-collapse: collapse; width: 100%; } td, th { border-bottom: 1px solid var(--line); padding: .2rem .5rem; text-align: left; vertical-align: top; }
td.name { min-width: 11rem; } td.why { min-width: 14rem; }
td.number, th.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
.map td.heat { text-align: right; background: color-mix(in srgb, var(--poor) var(--heat), transparent); }
.plots { display: grid; gap: 1rem; grid-template-columns: repeat(auto-fit, minmax(min(26rem, 100%), 1fr)); align-items: start; }
.plot { width: 100%; max-width: 42rem; } .plot text, .strip text { fill: currentColor; font-size: 12px; } .plot .grid { stroke: var(--line); fill: none; } .plot .line { stroke: var(--ink); fill: none; stroke-width: 1.5; } .plot .level { stroke: var(--fair); fill: none; stroke-dasharray: 4 4; }
.plot circle { fill: var(--plain); } .plot circle.chosen { fill: var(--good); } .plot circle.faint { opacity: .55; }
.strip { display: block; width: 100%; height: 5.5rem; background: var(--soft); border-radius: .3rem; } .strip[viewBox$=" 28"] { height: 1.6rem; }
rect.good { fill: var(--good); } rect.fair { fill: var(--fair); } rect.poor { fill: var(--poor); } rect.plain { fill: var(--plain); }
.p4 { fill: #7b5cd6; background: #7b5cd6; } .p8 { fill: var(--good); background: var(--good); } .p8w { fill: #79bfa0; background: #79bfa0; } .p16 { fill: #3b82c4; background: #3b82c4; } .p32 { fill: var(--fair); background: var(--fair); } .p0 { fill: var(--plain); background: var(--plain); }
.key { margin-right: 1rem; white-space: nowrap; } .key i { display: inline-block; width: .8em; height: .8em; border-radius: .15em; margin-right: .35em; }
.many { display: grid; gap: 1rem; grid-template-columns: repeat(auto-fill, minmax(min(15rem, 100%), 1fr)); } figure { margin: 0; min-width: 0; } figcaption { overflow: hidden; text-overflow: ellipsis; white-space: nowrap; } figure .more { font-size: .85em; font-variant-numeric: tabular-nums; }
.histogram { width: 100%; display: block; border-bottom: 1px solid var(--plain); } .histogram .band { fill: var(--good); opacity: .16; } .histogram .counts { fill: var(--ink); opacity: .8; } .histogram .ends { stroke: var(--good); stroke-width: 1.5; fill: none; } .histogram .zero { stroke: currentColor; stroke-width: .5; stroke-dasharray: 2 3; fill: none; }
.search { display: flex; flex-wrap: wrap; gap: .5rem; margin: .5rem 0; align-items: center; } .search input { flex: 1; font: inherit; min-width: min(14rem, 100%); padding: .3rem .5rem; } .search button, td button { font: inherit; }
.scroll { max-height: 34rem; overflow: auto; border: 1px solid var(--line); border-radius: .5rem; } .scroll th { background: Canvas; position: sticky; top: 0; } .scroll th button { font: inherit; font-weight: 600; background: none; border: 0; color: inherit; cursor: pointer; padding: 0; } th[aria-sort=ascending] button::after { content: " ↑"; } th[aria-sort=descending] button::after { content: " ↓"; }
.more { opacity: .75; }
@media (max-width: 40rem) { .many { grid-template-columns: repeat(auto-fill, minmax(10rem, 1fr)); } body { padding: 0 .75rem 2rem; } .bars { grid-template-columns: fit-content(9rem) minmax(3rem, 1fr) max-content; } header nav { width: 100%; } }
@media print { header { position: static; } .scroll { max-height: none; } .search { display: none; } details, figure, .card { break-inside: avoid-page; } body { max-width: none; } }
`;
