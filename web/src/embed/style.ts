// The look of the embedded uploader. It is adopted by the shadow root, so the strictest style policy lets it be.

/** Light or dark as the page around it is. Every colour and measure that a page may want to change is a variable. */
export const STYLE = `
:host {
  --accent: var(--matinee-accent, light-dark(#b8401c, #ff9b73));
  --accent-text: var(--matinee-accent-text, light-dark(#fff, #2b0f06));
  --text: var(--matinee-text, light-dark(#1f1a24, #f1edf2));
  --quiet: var(--matinee-quiet, light-dark(#5d5763, #b9b2be));
  --ground: var(--matinee-ground, light-dark(#fff, #1d1a21));
  --line: var(--matinee-line, light-dark(#dcd5d0, #45404b));
  --warning: var(--matinee-warning, light-dark(#8a5300, #f3bd63));
  --error: var(--matinee-error, light-dark(#b3202c, #ff9a98));
  --success: var(--matinee-success, light-dark(#1c6f46, #7fd6a4));
  --radius: var(--matinee-radius, 12px);
  display: block;
  color: var(--text);
  font: 1rem/1.5 var(--matinee-font, system-ui, sans-serif);
}
:host([hidden]) { display: none; }
* { box-sizing: border-box; }
.drop { display: grid; gap: 12px; justify-items: center; padding: 28px 20px; text-align: center;
  background: var(--ground); border: 2px dashed var(--line); border-radius: var(--radius); }
.drop.over { border-color: var(--accent); }
p { margin: 0; }
button { min-height: 44px; padding: 0 16px; border: 1px solid var(--line); border-radius: var(--radius);
  background: transparent; color: inherit; font: inherit; font-weight: 600; cursor: pointer; }
button.first { background: var(--accent); border-color: var(--accent); color: var(--accent-text); }
button:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; }
input { display: none; }
ul { display: grid; gap: 8px; margin: 0; padding: 0; list-style: none; }
ul:not(:empty) { margin-top: 12px; }
li { display: grid; gap: 6px 12px; grid-template-columns: minmax(0, 1fr); padding: 12px 16px; background: var(--ground);
  border: 1px solid var(--line); border-radius: var(--radius); }
.name { overflow: hidden; text-overflow: ellipsis; white-space: nowrap; font-weight: 600; }
.bar { height: 8px; overflow: hidden; border-radius: 4px; background: var(--line); }
.bar > div { height: 100%; width: 0; background: var(--accent); transition: width .3s; }
.state { color: var(--quiet); font-size: .9em; font-variant-numeric: tabular-nums; }
.advice { font-size: .9em; }
li[data-phase=stalled] .state { color: var(--warning); font-weight: 600; }
li[data-phase=stalled] .bar > div { background: var(--warning); }
li[data-phase=failed] .state { color: var(--error); font-weight: 600; }
li[data-phase=done] .state { color: var(--success); font-weight: 600; }
.actions { display: flex; flex-wrap: wrap; gap: 8px; }
.actions:empty, .advice:empty { display: none; }
.said { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }
@media (prefers-reduced-motion: reduce) { .bar > div { transition: none; } }
`;
