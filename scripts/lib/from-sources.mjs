import { existsSync, readFileSync } from 'node:fs';
import { registerHooks } from 'node:module';
import { fileURLToPath } from 'node:url';
import swc from '@swc/core';

/** As the unit tests are compiled (jest.config.mjs). */
const OPTIONS = {
  jsc: {
    target: 'es2023',
    parser: { syntax: 'typescript', decorators: true },
    transform: { legacyDecorator: true, decoratorMetadata: true },
    keepClassNames: true,
  },
  module: { type: 'es6' },
  sourceMaps: 'inline',
};

/**
 * From now on this process runs TypeScript from its sources, those of the libs included, without a build.
 * @param change may change the text of a source before it is compiled; the file stays as it is
 */
export const runFromSources = (change = (_path, text) => text) =>
  registerHooks({
    resolve(specifier, context, next) {
      if (specifier.startsWith('.') && specifier.endsWith('.js') && context.parentURL?.endsWith('.ts')) {
        const source = new URL(`${specifier.slice(0, -3)}.ts`, context.parentURL);
        if (existsSync(source)) return { url: source.href, shortCircuit: true };
      }
      return next(specifier, { ...context, conditions: [...context.conditions, '@posthorn/source'] });
    },
    load(url, context, next) {
      if (!url.endsWith('.ts')) return next(url, context);
      const filename = fileURLToPath(url);
      const { code } = swc.transformSync(change(filename, readFileSync(filename, 'utf8')), { ...OPTIONS, filename });
      return { format: 'module', source: code, shortCircuit: true };
    },
  });
