// What the service worker keeps: all that the shell and Play need, and nothing that only other views do.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { offlineFiles } from './offline-files.ts';

test('the shell, and from the view of Play on whatever its files name', () => {
  const files = new Map([
    ['main-1.js', 'import("/assets/ledger-1.js"); import("/assets/play-view-1.js")'],
    ['style-1.css', ''],
    ['ledger-1.js', 'new Worker("/assets/log-worker-1.js")'],
    ['log-worker-1.js', ''],
    ['play-view-1.js', 'import "./main-1.js"; new Worker("/assets/play-worker-1.js")'],
    ['play-view-1.css', ''],
    ['play-worker-1.js', 'import("./pretrain-1.js"); "ort-1.wasm"; "ort.asyncify-1.wasm"; import("./ort.webgpu-1.js")'],
    ['pretrain-1.js', 'import "./play-worker-1.js"'],
    ['ort-1.wasm', ''],
    ['ort.asyncify-1.wasm', ''],
    ['ort.webgpu-1.js', ''],
  ]);
  const manifest = { 'play/play-view.tsx': { file: 'assets/play-view-1.js', css: ['assets/play-view-1.css'] } };
  assert.deepEqual(offlineFiles('<script src="/assets/main-1.js"><link href="/assets/style-1.css">', manifest, files), [
    'main-1.js',
    'ort-1.wasm',
    'play-view-1.css',
    'play-view-1.js',
    'play-worker-1.js',
    'pretrain-1.js',
    'style-1.css',
  ]);
});
