// SPDX-License-Identifier: GPL-2.0-only
// A table of which only the rows in sight are in the page. One stop for Tab, arrows inside.

import {newId} from './numbers.js';

export const ROW = 18; // pixels, as in explorer.css

export class Grid {
    // rows(): how many; cells(i): HTML of row i; css(i): its classes; on: {hover(i, event), choose(i, event), key(event)}
    constructor({name, heads, note, rows, cells, css, on}) {
        Object.assign(this, {rows, cells, css, on, active: 0, id: newId()});
        this.element = document.createElement('section');
        this.element.className = 'kx-pane';
        this.element.innerHTML = `<h3 id="${this.id}-name">${name} <span class="kx-note">${note ?? ''}</span></h3>`
            + `<div class="kx-grid" role="grid" tabindex="0" aria-labelledby="${this.id}-name" aria-readonly="true">`
            + `<div class="kx-row kx-heads" role="row">${heads.map(head => `<span role="columnheader">${head}</span>`).join('')}</div>`
            + '<div class="kx-room" role="rowgroup"></div></div>';
        this.grid = this.element.querySelector('.kx-grid');
        this.room = this.element.querySelector('.kx-room');
        this.pool = [];
        // asked of the page only when they change: asking between two panes' changes lays the page out each time
        this.top = this.height = 0;
        this.grid.addEventListener('scroll', () => {
            this.top = this.grid.scrollTop;
            this.draw();
        });
        new ResizeObserver(() => this.#resized()).observe(this.grid);
        this.grid.addEventListener('mousemove', event => this.#point(event, 'hover'));
        this.grid.addEventListener('mouseleave', () => this.on.hover(-1));
        this.grid.addEventListener('click', event => this.#point(event, 'choose'));
        this.grid.addEventListener('keydown', event => this.#key(event));
    }

    // hidden or between two themes it had no height and lost its place
    #resized() {
        const height = this.grid.clientHeight, other = height !== this.height;
        this.height = height;
        this.top = this.grid.scrollTop;
        if (other) this.reveal(this.active);
        this.draw();
    }

    #point(event, what) {
        const row = event.target.closest('.kx-row');
        if (row && !row.classList.contains('kx-heads')) this.on[what](Number(row.dataset.i), event);
    }

    #key(event) {
        if (event.altKey || event.ctrlKey || event.metaKey) return;
        const page = Math.max(1, Math.floor(this.height / ROW) - 2);
        const steps = {ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -Infinity, End: Infinity};
        if (this.on.key?.(event)) {
            event.preventDefault();
        } else if (event.key in steps) {
            event.preventDefault();
            this.#step(steps[event.key]);
        }
    }

    #step(by) {
        const last = this.rows() - 1;
        let i = Math.min(last, Math.max(0, this.active + by));
        const on = by > 0 ? 1 : -1; // past headings, which cannot be chosen; back where there is nothing further
        while (i >= 0 && i <= last && this.on.choose(i) === false) i += on;
    }

    // make row i the active one and bring it into sight
    reveal(i) {
        this.active = i;
        const top = i * ROW, height = this.height - ROW;
        if (top < this.top || top + ROW > this.top + height) this.scrollTo(top - height / 3);
    }

    scrollTo(top) {
        this.#room();
        this.top = Math.max(0, Math.min(Math.floor(top), (this.rows() + 1) * ROW - this.height));
        this.grid.scrollTop = this.top;
    }

    #room() {
        const total = this.rows();
        if (this.total === total) return;
        this.total = total;
        this.room.style.height = `${total * ROW}px`;
        this.grid.setAttribute('aria-rowcount', total + 1);
    }

    draw() {
        this.#room();
        const first = Math.max(0, Math.min(Math.floor(this.top / ROW) - 1, this.total - 1));
        const shown = Math.min(this.total - first, Math.ceil(this.height / ROW) + 2);
        while (this.pool.length < shown) this.#more();
        this.pool.forEach((row, k) => this.#show(row, k < shown ? first + k : -1));
        const active = this.active >= first && this.active < first + shown;
        if (active) this.grid.setAttribute('aria-activedescendant', `${this.id}-${this.pool[this.active - first].slot}`);
        else this.grid.removeAttribute('aria-activedescendant');
    }

    #more() {
        const element = document.createElement('div'), slot = this.pool.length;
        element.setAttribute('role', 'row');
        element.id = `${this.id}-${slot}`;
        this.room.append(element);
        this.pool.push({element, slot, html: '', css: '', i: -2});
    }

    #show(row, i) {
        if (row.i !== i) {
            row.i = i;
            row.element.hidden = i < 0;
            if (i >= 0) {
                row.element.dataset.i = i;
                row.element.setAttribute('aria-rowindex', i + 2);
                row.element.style.transform = `translateY(${i * ROW}px)`;
            }
        }
        if (i < 0) return;
        const html = this.cells(i), css = `kx-row ${this.css(i)}${i === this.active ? ' kx-active' : ''}`;
        if (row.html !== html) row.element.innerHTML = row.html = html;
        if (row.css !== css) {
            row.element.className = row.css = css;
            row.element.setAttribute('aria-selected', String(css.includes('kx-sel')));
        }
    }
}
