// Every page on a phone.
import { PHONE } from './harness.mjs';
import { look } from './pages.mjs';

look(PHONE);
