// Every page on a desk.
import { WIDE } from './harness.mjs';
import { look } from './pages.mjs';

look(WIDE);
