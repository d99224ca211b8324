// SPDX-License-Identifier: GPL-2.0-only
// One event for all panes: what is chosen, what is under the pointer, which stage, which base.

export class Link extends EventTarget {
    constructor(doc, relocator) {
        super();
        Object.assign(this, {doc, relocator, chosen: null, hot: null, stage: 0, shift: 0n, past: []});
    }

    choose(kind, number, from = '') {
        if (this.chosen) this.past.push([this.chosen.kind, this.chosen.number]);
        this.chosen = this.linked(kind, number);
        this.#tell('chosen', from);
    }

    back() {
        const last = this.past.pop();
        if (!last) return;
        this.chosen = this.linked(...last);
        this.#tell('chosen', '');
    }

    hover(kind, number) {
        if (this.hot?.kind === kind && this.hot?.number === number) return;
        this.hot = kind === null ? null : this.linked(kind, number);
        this.#tell('hot', '');
    }

    setStage(stage) {
        this.stage = Math.min(this.doc.stages.length - 1, Math.max(0, stage));
        this.#tell('stage', '');
    }

    setShift(shift) {
        this.shift = shift;
        this.#tell('shift', '');
    }

    #tell(what, from) {
        this.dispatchEvent(new CustomEvent('link', {detail: {what, from}}));
    }

    // what belongs to the thing: ranges [start, end) of file and memory, section, symbol, relocation, target
    linked(kind, number) {
        const found = {kind, number, section: 0, symbol: -1, relocation: -1, file: null, memory: null, target: null};
        this[`_${kind}`](found, number);
        return found;
    }

    _section(found, number) {
        const s = this.doc.sections[number];
        found.section = number;
        if (s.length) found.file = [s.offset, s.offset + s.length];
        if (s.place >= 0 && s.size) found.memory = [s.place, s.place + s.size];
    }

    _symbol(found, number) {
        const {symbol_section, symbol_value, symbol_size} = this.doc.columns;
        found.symbol = number;
        const start = Number(symbol_value[number]), size = Math.max(1, Number(symbol_size[number]));
        this.#inSection(found, symbol_section[number], start, start + size);
    }

    _relocation(found, number) {
        const {relocation_section, relocation_offset, relocation_symbol} = this.doc.columns;
        found.relocation = number;
        const start = Number(relocation_offset[number]), size = this.doc.type(number).size ?? 0;
        this.#inSection(found, relocation_section[number], start, start + size);
        if (relocation_symbol[number] < this.doc.symbolCount) found.symbol = relocation_symbol[number];
        found.target = this.relocator.target(number);
    }

    _file(found, offset) {
        found.file = [offset, offset + 1];
        const segment = this.doc.segmentAt(offset), section = this.doc.sections[segment?.section ?? 0];
        found.relocation = this.doc.relocationAt(this.doc.byFile, offset);
        if (segment?.section) this.#inside(found, segment.section, offset - section.offset);
        if (section?.place >= 0 && segment.section) {
            found.memory = [section.place + offset - section.offset, section.place + offset - section.offset + 1];
        }
    }

    _memory(found, place) {
        found.memory = [place, place + 1];
        const span = this.doc.spanAt(place), section = this.doc.sections[span?.section ?? 0];
        found.relocation = this.doc.relocationAt(this.doc.byPlace, place);
        if (!span?.section) return;
        const offset = place - section.place;
        this.#inside(found, span.section, offset);
        if (offset < section.length) found.file = [section.offset + offset, section.offset + offset + 1];
    }

    #inside(found, section, offset) {
        found.section = section;
        found.symbol = this.doc.symbolAt(section, offset);
        if (found.relocation >= 0) found.target = this.relocator.target(found.relocation);
    }

    #inSection(found, number, start, end) {
        const section = this.doc.sections[number];
        if (!number || !section) return;
        found.section = number;
        if (start < section.length) found.file = [section.offset + start, section.offset + Math.min(end, section.length)];
        if (section.place >= 0 && start < section.size) found.memory = [section.place + start, section.place + end];
    }
}

// "sel", "hot", "target" for a row that stands for [start, end) of "file" or "memory"
export function lights(link, where, start, end) {
    const touches = one => one?.[where] && one[where][0] < end && start < one[where][1];
    const aimed = one => where === 'memory' && one?.target && one.target.place >= start && one.target.place < end;
    return (touches(link.chosen) ? ' kx-sel' : '') + (touches(link.hot) ? ' kx-hot' : '')
        + (aimed(link.chosen) || aimed(link.hot) ? ' kx-target' : '');
}
