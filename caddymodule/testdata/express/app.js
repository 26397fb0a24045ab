// A small API as people write them with Express, for the gateway's tests.
const zlib = require('zlib');
const express = require('express');

const app = express();
app.use(express.json());
app.get('/whoami', (req, res) => res.json({ headers: Object.entries(req.headers) }));
app.post('/echo', (req, res) => res.json(req.body));
app.get('/error', (req, res) => res.status(409).json({ error: 'Cart is empty' }));
app.get('/nested', (req, res) => res.status(400).json({ error: { code: 'E7', message: 'No such coupon' } }));
app.get('/busy', (req, res) => res.set('Retry-After', '9').status(429).json({ message: 'Too many carts' }));
app.get('/throw', () => { throw new Error('connect ECONNREFUSED 10.0.0.5:5432'); });
app.get('/gzip', (req, res) => {
  res.status(422).set('Content-Type', 'application/json').set('Content-Encoding', 'gzip');
  res.end(zlib.gzipSync(JSON.stringify({ message: 'Name is taken' })));
});
app.get('/chunks', (req, res) => {
  res.status(400).set('Content-Type', 'application/json');
  res.write('{"message":');
  setImmediate(() => res.end('"In two parts"}'));
});
app.get('/ok', (req, res) => res.json({ ok: true }));

app.listen(Number(process.argv[2]), '127.0.0.1');
