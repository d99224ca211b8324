// SPDX-License-Identifier: GPL-2.0-only
// In a notebook: the document comes with the widget's model; stage, base and choice stay in step with Python.

import {explore} from './explorer.js';

export async function render({model, el}) {
    const root = document.createElement('div');
    el.append(root);
    const block = model.get('_block');
    const bytes = new Uint8Array(block.buffer, block.byteOffset, block.byteLength);
    const {link, doc} = await explore(root, model.get('_head'), bytes);
    let told = false, timer = 0;
    const fromPython = () => {
        told = true;
        const [kind, number] = model.get('chosen').split(' ');
        if (model.get('stage') !== link.stage) link.setStage(model.get('stage'));
        if (doc.parts.length && BigInt(model.get('shift')) !== link.shift) link.setShift(BigInt(model.get('shift')));
        if (number && (link.chosen?.kind !== kind || link.chosen?.number !== Number(number))) link.choose(kind, Number(number));
        told = false;
    };
    const toPython = () => {
        model.set('stage', link.stage);
        model.set('shift', link.shift.toString());
        if (link.chosen) model.set('chosen', `${link.chosen.kind} ${link.chosen.number}`);
        model.save_changes();
    };
    fromPython();
    model.on('change:stage change:shift change:chosen', fromPython);
    link.addEventListener('link', event => {
        if (told || event.detail.what === 'hot') return;
        clearTimeout(timer);
        timer = setTimeout(toPython, 80); // a slider's steps as one message
    });
}

export default {render};
