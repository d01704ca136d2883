// Style and script of a page. Neither ever holds data.
#pragma once

namespace mmt::report {

inline constexpr const char* kPageStyle = R"css(
:root{--ink:#1c1e21;--quiet:#6a6f76;--line:#e4e6e9;--back:#fff;--soft:#f6f7f8;--accent:#1f6feb}
@media (prefers-color-scheme:dark){:root{--ink:#e6e8ea;--quiet:#9aa0a6;--line:#33373c;--back:#15171a;--soft:#1d2024;--accent:#5b9bff}}
*{box-sizing:border-box}
body{margin:0 auto;max-width:1280px;padding:28px 24px 60px;background:var(--back);color:var(--ink);font:15px/1.5 system-ui,sans-serif}
h1{font-size:26px;margin:0 0 20px}h2{font-size:19px;margin:36px 0 10px;padding-top:14px;border-top:1px solid var(--line)}h3{font-size:15px;margin:22px 0 6px}
p{max-width:72ch;white-space:pre-line}
dl{display:grid;grid-template-columns:repeat(auto-fill,minmax(240px,1fr));gap:8px 24px;margin:12px 0}
dl div{border-left:3px solid var(--line);padding-left:10px}dt{color:var(--quiet);font-size:12px}dd{margin:0;overflow-wrap:anywhere}
.scroll{overflow:auto;max-height:75vh;border:1px solid var(--line);border-radius:6px}
table{border-collapse:collapse;width:100%;font-size:13px}
th{position:sticky;top:0;background:var(--soft);text-align:left;cursor:pointer;white-space:nowrap;user-select:none}
th[aria-sort=ascending]::after{content:" ▲"}th[aria-sort=descending]::after{content:" ▼"}
th,td{padding:5px 10px;border-bottom:1px solid var(--line);vertical-align:top}
td.n,th.n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}td.w{overflow-wrap:anywhere;min-width:110px}
tbody tr:hover{background:var(--soft)}
input{margin:4px 0 8px;padding:5px 9px;width:280px;max-width:100%;border:1px solid var(--line);border-radius:5px;background:var(--back);color:var(--ink);font:inherit}
figure{margin:14px 0;overflow-x:auto}svg{max-width:100%;height:auto}
.more{color:var(--quiet);font-size:13px}
)css";

inline constexpr const char* kPageScript = R"js(
for (const box of document.querySelectorAll("section.table")) {
  const table = box.querySelector("table"), body = table.tBodies[0], filter = box.querySelector("input");
  filter.addEventListener("input", () => {
    const words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
    for (const row of body.rows) {
      const text = row.textContent.toLowerCase();
      row.hidden = !words.every(word => text.includes(word));
    }
  });
  const heads = [...table.tHead.rows[0].cells];
  const sort = index => {
    const head = heads[index], down = head.getAttribute("aria-sort") === "ascending" ||
        (head.classList.contains("n") && !head.hasAttribute("aria-sort"));
    const key = row => {
      const cell = row.cells[index];
      return cell.dataset.v === undefined ? cell.textContent : Number(cell.dataset.v);
    };
    const order = (a, b) => {
      const x = key(a), y = key(b);
      if (typeof x === "number" && typeof y === "number") return x - y;
      if (typeof x !== typeof y) return typeof x === "number" ? -1 : 1;
      return x.localeCompare(y);
    };
    const rows = [...body.rows].sort((a, b) => down ? order(b, a) : order(a, b));
    heads.forEach(other => other.removeAttribute("aria-sort"));
    head.setAttribute("aria-sort", down ? "descending" : "ascending");
    body.append(...rows);
  };
  heads.forEach((head, index) => {
    head.tabIndex = 0;
    head.addEventListener("click", () => sort(index));
    head.addEventListener("keydown", event => { if (event.key === "Enter") sort(index); });
  });
}
)js";

}  // namespace mmt::report
