// SPDX-License-Identifier: GPL-2.0-only
// The module's memory as of a stage: the trace's writes are done and undone, one stage after the other.

export class ModuleMemory {
    constructor(doc) {
        this.doc = doc;
        this.bytes = new Uint8Array(doc.memorySize);
        this.changed = new Uint8Array(doc.memorySize); // 1: stored by the present stage
        this.stage = -1;
        this.first = [0]; // stage -> number of its first write
        for (const stage of doc.stages) this.first.push(this.first.at(-1) + stage.writes);
        const {write_length: length, write_source: source} = doc.columns;
        this.at = new Uint32Array(length.length); // where in write_data a write's bytes begin
        for (let i = 0, end = 0; i < length.length; i++) {
            this.at[i] = end;
            if (source[i] < 0) end += length[i];
        }
        this.undo = [];
    }

    #data(i) {
        const {write_length: length, write_source: source, write_data: data} = this.doc.columns;
        return source[i] >= 0 ? this.doc.file.subarray(source[i], source[i] + length[i])
            : data.subarray(this.at[i], this.at[i] + length[i]);
    }

    #mark(value) {
        if (this.stage < 0) return;
        const {write_place: place, write_length: length} = this.doc.columns;
        for (let i = this.first[this.stage]; i < this.first[this.stage + 1]; i++) {
            this.changed.fill(value, place[i], place[i] + length[i]);
        }
    }

    goTo(stage) {
        this.#mark(0);
        while (this.stage < stage) this.#forward();
        while (this.stage > stage) this.#back();
        this.#mark(1);
    }

    #forward() {
        const {write_place: place, write_length: length} = this.doc.columns, stage = ++this.stage;
        let size = 0, at = 0;
        for (let i = this.first[stage]; i < this.first[stage + 1]; i++) size += length[i];
        const before = new Uint8Array(size);
        for (let i = this.first[stage]; i < this.first[stage + 1]; i++) {
            before.set(this.bytes.subarray(place[i], place[i] + length[i]), at);
            this.bytes.set(this.#data(i), place[i]);
            at += length[i];
        }
        this.undo.push(before);
    }

    #back() {
        const {write_place: place, write_length: length} = this.doc.columns, stage = this.stage--;
        const before = this.undo.pop();
        let at = before.length;
        for (let i = this.first[stage + 1] - 1; i >= this.first[stage]; i--) {
            at -= length[i];
            this.bytes.set(before.subarray(at, at + length[i]), place[i]);
        }
    }

    // [start, end) of the first write of this stage behind a place; writes that touch count as one
    nextChange(place) {
        const {write_place: start, write_length: length} = this.doc.columns;
        let best = null;
        for (let i = this.first[this.stage]; i < this.first[this.stage + 1]; i++) {
            if (start[i] > place && (!best || start[i] < best[0])) best = [start[i], start[i] + length[i]];
        }
        return best;
    }

    // whether a relocation's field is as apply_relocations left it
    holds(i, relocator) {
        const numbers = this.doc.columns.relocation_known[i] > 1 ? relocator.numbers(i) : null;
        return numbers !== null && sameBytes(this.bytes, this.doc.columns.relocation_place[i], numbers.bytes);
    }

    // a copy of [start, end); with the module moved, relocated fields that nobody has patched since read anew
    read(start, end, relocator, shift) {
        const bytes = this.bytes.slice(start, end);
        if (!shift || this.stage < this.doc.relocated) return bytes;
        for (const i of this.doc.relocationsIn(this.doc.byPlace, start - 7, end)) {
            if (!this.holds(i, relocator)) continue;
            const place = this.doc.columns.relocation_place[i], field = relocator.numbers(i, shift).bytes;
            for (let k = 0; k < field.length; k++) {
                const at = place + k - start;
                if (at >= 0 && at < bytes.length) bytes[at] = field[k];
            }
        }
        return bytes;
    }
}

const sameBytes = (bytes, at, field) => field.every((byte, k) => bytes[at + k] === byte);
