import { eventStoreMigrations } from '@posthorn/event-store';
import { ReadModel1795255200001 } from './1795255200001-read-model.js';
import { CompleteReadModel1795341600001 } from './1795341600001-complete-read-model.js';

export const SCHEMA = 'registry';

export const migrations = [...eventStoreMigrations(SCHEMA), ReadModel1795255200001, CompleteReadModel1795341600001];
