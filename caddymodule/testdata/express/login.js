// An API with a log-in of its own: Express with passport and passport-jwt.
const express = require('express');
const jwt = require('jsonwebtoken');
const passport = require('passport');
const { Strategy, ExtractJwt } = require('passport-jwt');

const secret = process.env.JWT_SECRET;
const strategy = (name, ignoreExpiration) => passport.use(name, new Strategy(
  { jwtFromRequest: ExtractJwt.fromAuthHeaderAsBearerToken(), secretOrKey: secret, algorithms: ['HS256'], ignoreExpiration },
  (claims, done) => done(null, { id: claims.sub }),
));
strategy('jwt', false);
strategy('refresh', true);
const only = (name) => passport.authenticate(name, { session: false });
const token = (lifetime) => {
  const now = Math.floor(Date.now() / 1000);
  return jwt.sign({ sub: 'u1', role: 'USER', iat: now - 3600, exp: now + lifetime }, secret);
};

const app = express();
app.use(express.json());
app.post('/v1/auth/login-json', (req, res) => {
  if (req.body.password !== 'right') {
    return res.status(401).json({ message: 'Incorrect email or password' });
  }
  return res.json({ access_token: token(3600), expired: token(-60) });
});
app.post('/v1/auth/refresh', only('refresh'), (req, res) => res.json({ access_token: token(3600) }));
app.get('/v1/auth/me', only('jwt'), (req, res) => res.json({ id: req.user.id }));
app.get('/v1/items', (req, res) => res.json([]));

app.listen(Number(process.argv[2]), '127.0.0.1');
