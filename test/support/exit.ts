import { registerCompletionHandler } from 'ava';

// The tests of a file are done, and so is what they started: a socket or a timer that a library keeps for
// a while must not keep the whole run waiting. Ava would wait for ever.
registerCompletionHandler(() => process.exit());
