// `node suite.mjs PART`: one part of the tests of the console in a browser.
import { runAll } from './harness.mjs';

const part = process.argv[2];
if (!['wide', 'phone', 'empty', 'forms', 'security', 'use'].includes(part)) {
  throw new Error(`there is no part ${part}`);
}
await import(`./${part}.mjs`);
await runAll();
