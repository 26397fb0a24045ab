-- The last turn that any gateway gave to a refused caller of one limit, in
-- microseconds of Redis's clock.
-- KEYS[1]: the turn.
-- ARGV, in microseconds: how far ahead the last turn of the gateway that asks is,
-- how much time lies between the turns that it gave since it asked last, and how
-- far ahead a turn may be.
-- Puts those turns behind the ones of the others and returns how far ahead the last
-- turn of all is.
local t = redis.call('TIME')
local now = tonumber(t[1]) * 1000000 + tonumber(t[2])
local mine, given, most = now + tonumber(ARGV[1]), tonumber(ARGV[2]), now + tonumber(ARGV[3])
local last = tonumber(redis.call('GET', KEYS[1]) or '0') or 0
if last > now then
  last = math.max(mine, last + given)
else
  last = mine -- also where it is NaN
end
if last > most then last = most end
if last > now then
  redis.call('SET', KEYS[1], string.format('%.0f', last), 'PX', math.ceil((last - now) / 1000))
end
return { last - now }
