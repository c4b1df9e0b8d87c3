/** Random commands for property tests, here and in the registry. Nothing that runs imports them. */
export * from './subscription-commands.js';
