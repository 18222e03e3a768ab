"""How the page looks, in light and in dark, on a desk and on a phone; and the little that moves on it."""

STYLE = """
:root { color-scheme: light dark; --ink: #1b2330; --dim: #667184; --paper: #faf9f6; --card: #ffffff; --line: #e4e0d8;
  --proven: #1a7f45; --proven-bg: #e5f4ea; --failed: #b3261e; --failed-bg: #fce8e6; --unproven: #8a6a12; --unproven-bg: #faf1d6; }
@media (prefers-color-scheme: dark) { :root { --ink: #e5e8ee; --dim: #94a0b3; --paper: #12161c; --card: #181e26;
  --line: #2a323e; --proven: #6fd598; --proven-bg: #14321f; --failed: #ff9d94; --failed-bg: #451b18;
  --unproven: #e5c464; --unproven-bg: #37300f; } }
* { box-sizing: border-box; }
html { scroll-behavior: smooth; }
body { margin: 0; background: var(--paper); color: var(--ink); font: 16px/1.5 system-ui, -apple-system, "Segoe UI", sans-serif; }
main { max-width: 1060px; margin: 0 auto; padding: 2.2rem 1.2rem 4rem; }
.brand { color: var(--dim); margin: 0; font-size: .85rem; letter-spacing: .04em; }
h1 { font-size: clamp(1.5rem, 4vw, 2.1rem); line-height: 1.2; margin: .2rem 0 .5rem; }
.goal { margin: 0 0 1.1rem; color: var(--dim); max-width: 70ch; }
.goal b { color: var(--ink); }
.proven { --c: var(--proven); --bg: var(--proven-bg); } .failed { --c: var(--failed); --bg: var(--failed-bg); }
.unproven { --c: var(--unproven); --bg: var(--unproven-bg); }
.banner { background: var(--bg); border-left: 5px solid var(--c); border-radius: 8px; padding: .8rem 1rem; display: flex;
  flex-wrap: wrap; gap: .4rem 1.5rem; align-items: baseline; justify-content: space-between; }
.banner strong { color: var(--c); font-size: 1.15rem; }
.counts { display: flex; gap: 1.1rem; flex-wrap: wrap; } .counts span { color: var(--c); } .counts b { font-size: 1.15rem; }
.facts { display: flex; flex-wrap: wrap; gap: .3rem 2rem; margin: .9rem 0 1.3rem; font-size: .87rem; }
.facts dt { color: var(--dim); display: inline; } .facts dt::after { content: ":"; } .facts dd { display: inline; margin: 0 0 0 .35rem; }
nav { display: flex; flex-wrap: wrap; gap: .4rem; }
nav a { color: var(--ink); text-decoration: none; border: 1px solid var(--line); background: var(--card); border-radius: 99px;
  padding: .15rem .75rem .15rem .5rem; font-size: .85rem; }
nav a:hover { border-color: var(--c); } nav i { color: var(--c); font-style: normal; font-weight: 700; margin-right: .35rem; }
section { margin-top: 2.4rem; scroll-margin-top: 1rem; }
h2 { font-size: 1.22rem; margin: 0 0 .6rem; display: flex; gap: .55rem; align-items: baseline; }
h2 i { font-style: normal; color: var(--c); font-weight: 700; }
.lines { border: 1px solid var(--line); border-radius: 10px; background: var(--card); overflow: hidden; }
details + details { border-top: 1px solid var(--line); }
summary { display: grid; grid-template-columns: 1.5rem 3.4rem 1fr minmax(8rem, 15rem); gap: 0 .5rem; padding: .55rem .9rem;
  cursor: pointer; list-style: none; align-items: baseline; }
summary::-webkit-details-marker { display: none; }
summary:hover { background: color-mix(in srgb, var(--bg) 45%, transparent); }
details[open] > summary { background: color-mix(in srgb, var(--bg) 60%, transparent); }
.mark { color: var(--c); font-style: normal; font-weight: 800; text-align: center; }
details.failed > summary, details.unproven > summary { box-shadow: inset 4px 0 0 var(--c); }
.id { color: var(--dim); font: 600 .82rem ui-monospace, "SF Mono", monospace; }
.text { overflow-wrap: anywhere; } .text ul { margin: .15rem 0 0; padding-left: 1.1rem; color: var(--dim); font-size: .9rem; }
.whole { color: var(--dim); font-style: italic; }
.short { color: var(--dim); font-size: .8rem; text-align: right; }
code { font: .88em ui-monospace, "SF Mono", Consolas, monospace; background: color-mix(in srgb, var(--ink) 7%, transparent);
  border-radius: 4px; padding: .05em .3em; overflow-wrap: anywhere; }
.evidence { padding: .3rem .9rem 1rem 3rem; }
article { border-left: 3px solid var(--line); padding: .1rem 0 .1rem .9rem; margin-top: .9rem; }
article.passed { border-color: var(--proven); } article.failed { border-color: var(--failed); }
article.gap, article.missing { border-color: var(--unproven); }
h4 { margin: 0; font-size: .95rem; } h4 em { font-style: normal; font-weight: 500; color: var(--dim); margin-left: .6rem; font-size: .85rem; }
.failed h4 em { color: var(--failed); } .passed h4 em { color: var(--proven); } .gap h4 em, .missing h4 em { color: var(--unproven); }
.command { margin: .25rem 0; } .command code { display: block; padding: .35rem .55rem; cursor: copy; }
.figures { margin: .2rem 0; color: var(--dim); font-size: .88rem; }
.chips { font-size: .8rem; color: var(--dim); margin: .35rem 0; } .chips ul { list-style: none; display: inline; padding: 0; margin: 0; }
.chips > span::after { content: ": "; } .chips li { display: inline-block; border: 1px solid var(--line); border-radius: 99px; padding: 0 .55rem; margin: .1rem .15rem .1rem 0; }
.chips b { color: var(--ink); font-weight: 600; }
article table { border-collapse: collapse; font-size: .85rem; margin-top: .3rem; width: 100%; }
article td { padding: .12rem .6rem .12rem 0; vertical-align: top; overflow-wrap: anywhere; } article td:last-child { color: var(--dim); width: 32%; }
tr.bad td:last-child { color: var(--unproven); } .failed tr.bad td:last-child { color: var(--failed); font-weight: 600; }
.none { color: var(--dim); margin: .6rem 0 0; }
.verdict { margin: .7rem 0 0; color: var(--c); font-weight: 500; } .verdict b { color: var(--ink); }
.columns { display: grid; grid-template-columns: repeat(auto-fit, minmax(270px, 1fr)); gap: 1.2rem 2rem; }
h3 { font-size: 1rem; margin: .4rem 0; } .points { list-style: none; padding: 0; margin: 0; }
.points li { display: grid; grid-template-columns: 1.4rem 1fr; padding: .12rem 0; } .points i { font-style: normal; font-weight: 800; color: var(--c); }
small { color: var(--dim); white-space: nowrap; }
footer { margin-top: 3rem; padding-top: 1rem; border-top: 1px solid var(--line); color: var(--dim); font-size: .88rem; max-width: 75ch; }
@media (max-width: 720px) {
  summary { grid-template-columns: 1.3rem 3rem 1fr; } .short { grid-column: 3; text-align: left; margin-top: .15rem; }
  .evidence { padding-left: .9rem; } main { padding: 1.3rem .8rem 3rem; } article td:last-child { width: 40%; }
}
@media print { details > .evidence { display: none; } nav { display: none; } }
"""

# A click on a command copies it; a link to a line opens it.
SCRIPT = """
document.addEventListener("click", (event) => {
  const code = event.target.closest(".command code");
  if (code && navigator.clipboard) navigator.clipboard.writeText(code.textContent);
});
const open = () => {
  const found = location.hash && document.getElementById(location.hash.slice(1));
  if (found && found.tagName === "DETAILS") found.open = true;
};
addEventListener("hashchange", open);
open();
"""
