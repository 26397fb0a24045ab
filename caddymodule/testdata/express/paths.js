// The routes of the differential test of paths, with Express.
const express = require('express');

const app = express();
app.get('/healthz', (req, res) => res.json({ route: 'healthz' }));
app.get('/search', (req, res) => res.json({ route: 'search' }));
app.use('/v1/admin', (req, res) => res.json({ route: 'admin', id: req.path }));
app.use('/v1/users/:id', (req, res) => res.json({ route: 'user', id: req.params.id }));

app.listen(Number(process.argv[2]), '127.0.0.1');
