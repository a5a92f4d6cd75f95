import test from 'ava';
import { storeContract } from './contract.ts';
import { makeLevelBench } from './level-bench.ts';
import { storeProperties } from './properties.ts';

storeContract(test, 'level', makeLevelBench);
storeProperties(test, 'level', makeLevelBench);
