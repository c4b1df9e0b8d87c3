// `npm start`, `npm test`, `npm run bench`, `npm run simulate`. Plain JavaScript without dependencies: on a bare clone there is nothing else yet.
// Kept to syntax that old versions of Node can read too, so that they can say what is wrong.
const OLDEST = 20;

if (Number(process.versions.node.split('.')[0]) < OLDEST) {
  process.stderr.write('Posthorn needs Node ' + OLDEST + ' or newer to set itself up (this is ' + process.version + ').\n');
  process.exit(1);
} else {
  import('./lib/launch.mjs').then((module) => module.launch(process.argv.slice(2)));
}
