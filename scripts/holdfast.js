#!/usr/bin/env node
// The command `holdfast`: the compiled code where it is up to date, else the sources of a checkout.
import { isBuilt } from './build.js';

if (isBuilt()) await import('../dist/main.js');
else {
  const { register } = await import('tsx/esm/api');
  register();
  await import('../src/main.ts');
}
