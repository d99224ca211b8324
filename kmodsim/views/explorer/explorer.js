// SPDX-License-Identifier: GPL-2.0-only
// The explorer: a document and an empty element in, five linked panes out.

import {baseControl, found, resetButton, searchBox, timeline} from './controls.js';
import {details} from './details.js';
import {openDocument} from './document.js';
import {Link} from './link.js';
import {ModuleMemory} from './memory.js';
import {escapeHtml, grouped} from './numbers.js';
import {filePane, memoryPane} from './panes.js';
import {Relocator} from './relocate.js';
import {relocationTable, sectionTable, symbolTable} from './tables.js';
import {inWords} from './words.js';

const LEGEND = '<p class="kx-legend"><i class="kx-sel">chosen</i> <i class="kx-hot">under the pointer</i> <i class="kx-target">leads there</i>'
    + ' <i class="kx-will">00 will be filled in</i> <i class="kx-new">stored by this stage</i>'
    + ' &nbsp; keys: arrows; Enter follows; Backspace goes back</p>';

export async function explore(root, headText, packedBytes) {
    const doc = await openDocument(headText, packedBytes);
    const relocator = new Relocator(doc), memory = new ModuleMemory(doc), link = new Link(doc, relocator);
    root.classList.add('kx');
    root.setAttribute('role', 'region');
    root.setAttribute('aria-label', `Linked explorer: ${doc.name}`);
    const first = doc.first.length ? `; loaded before it: ${doc.first.join(', ')}` : '';
    const left = doc.leftOut.map(line => `<p class="kx-left-out">Left out: ${escapeHtml(line)}</p>`).join('');
    root.innerHTML = `<h2>${escapeHtml(doc.name)} <span class="kx-note">${grouped(doc.fileSize)} bytes, ${escapeHtml(doc.profile)}: ${escapeHtml(doc.outcome + first)}</span></h2>${left}`;

    const begin = () => {
        link.past = [];
        if (doc.parts.length) link.setShift(0n);
        link.setStage(doc.stages.length - 1);
        if (doc.start >= 0) link.choose('relocation', doc.start);
    };
    const goOn = () => nextChange(link, memory);
    const tools = [searchBox(link), timeline(link, memory, goOn), baseControl(link)];
    tools[0].append(resetButton(begin));
    const panes = [sectionTable(link), symbolTable(link), relocationTable(link), filePane(link), memoryPane(link, memory)];
    const said = details(link, memory, () => panes[4].activeText()), upper = document.createElement('div'), lower = document.createElement('div');
    upper.className = 'kx-upper';
    lower.className = 'kx-lower';
    upper.append(...panes.slice(0, 3).map(pane => pane.element));
    lower.append(...panes.slice(3).map(pane => pane.element));
    root.append(...tools, upper, lower, said);
    root.insertAdjacentHTML('beforeend', `${LEGEND}<details class="kx-twin"><summary>All of it as text</summary><pre tabindex="0"></pre></details>`);
    const twin = root.querySelector('.kx-twin');
    twin.addEventListener('toggle', () => { twin.querySelector('pre').textContent ||= doc.columns.twin; });

    // JupyterLab keeps its one-letter commands to itself; it looks at the element that has the focus first
    for (const stop of root.querySelectorAll('[tabindex], input, button, summary')) stop.dataset.lmSuppressShortcuts = 'true';

    const [, line, base] = tools, memoryGrid = panes[4];
    const react = {
        chosen: from => {
            for (const pane of panes) pane.show();
            drawAll();
            said.show();
        },
        hot: () => drawAll(),
        stage: () => {
            const place = link.chosen?.memory?.[0] ?? memoryGrid.placeInSight();
            memory.goTo(link.stage);
            memoryGrid.rebuild();
            line.show();
            if (place >= 0) memoryGrid.showPlace(place);
            drawAll();
            said.show();
        },
        shift: () => {
            base.show?.();
            drawAll();
            said.show();
        },
    };
    const drawAll = () => panes.forEach(pane => pane.draw());
    link.addEventListener('link', event => react[event.detail.what](event.detail.from));
    base.show?.();
    begin();
    const api = {doc, link, memory, relocator, panes, words: (kind, number) => inWords(doc, relocator, kind, number, link.shift), find: words => found(link, words)};
    root.explorer = api;
    root.dispatchEvent(new CustomEvent('kmodsim-ready', {bubbles: true}));
    return api;
}

// the next place that the present stage stored at; behind its last one, the first of the next stage that stores
function nextChange(link, memory) {
    const here = link.chosen?.kind === 'memory' ? link.chosen.number : -1;
    let change = memory.nextChange(here), stage = link.stage;
    while (!change && stage + 1 < link.doc.stages.length) {
        if (!link.doc.stages[++stage].writes) continue;
        link.setStage(stage);
        change = memory.nextChange(-1);
    }
    if (change) link.choose('memory', change[0]);
}
