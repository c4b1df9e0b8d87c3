const base = {
  rootDir: import.meta.dirname,
  testEnvironment: 'node',
  testEnvironmentOptions: { customExportConditions: ['@posthorn/source', 'node', 'node-addons'] },
  extensionsToTreatAsEsm: ['.ts'],
  moduleNameMapper: { '^(\\.{1,2}/.*)\\.js$': '$1' },
  modulePathIgnorePatterns: ['<rootDir>/.posthorn', '/dist/'],
  transform: {
    '^.+\\.ts$': [
      '@swc/jest',
      {
        jsc: {
          target: 'es2023',
          parser: { syntax: 'typescript', decorators: true },
          transform: { legacyDecorator: true, decoratorMetadata: true },
          keepClassNames: true,
        },
        module: { type: 'es6' },
      },
    ],
  },
};

const stack = {
  globalSetup: '<rootDir>/test/support/stack-up.mjs',
  globalTeardown: '<rootDir>/test/support/stack-down.mjs',
  setupFilesAfterEnv: ['<rootDir>/test/support/time-limit.mjs'],
};

export default {
  projects: [
    { ...base, displayName: 'unit', testMatch: ['<rootDir>/{apps,libs}/*/{src,simulation}/**/*.spec.ts', '<rootDir>/test/rules/**/*.spec.ts', '<rootDir>/bench/system/**/*.spec.ts', '<rootDir>/deploy/**/*.spec.ts'] },
    { ...base, ...stack, displayName: 'integration', testMatch: ['<rootDir>/{apps,libs}/*/test/**/*.test.ts'] },
    { ...base, ...stack, displayName: 'e2e', testMatch: ['<rootDir>/test/e2e/**/*.test.ts'] },
  ],
};
