-- GCRA on the buckets of one caller, all or none, in whole microseconds.
-- KEYS: the buckets, all with one {hash tag}.
-- ARGV: need, want, then T (microseconds a unit) and B (burst) for each key.
-- Grants what there is from need to want; need = want < 0 gives back, and
-- need < 0 < want charges want whether it is there or not: what is not is a debt,
-- one burst at most, which a `+` before the number tells from a state that can't be.
-- Returns the grant and for each key the debt after it in microseconds.
local t = redis.call('TIME')
local now = tonumber(t[1]) * 1000000 + tonumber(t[2])
local need, want = tonumber(ARGV[1]), tonumber(ARGV[2])
local force = need < 0 and want > 0
local n = #KEYS
local tat, T, offs, clamped = {}, {}, {}, {}
local grant = want
for i = 1, n do
  T[i] = tonumber(ARGV[1 + 2 * i])
  local off = T[i] * tonumber(ARGV[2 + 2 * i])
  local text = redis.call('GET', KEYS[i]) or '0'
  local v = tonumber(text) or 0
  local most = off
  if string.sub(text, 1, 1) == '+' then most = 2 * off end
  if not (v >= now) then v = now end -- also catches NaN
  -- The clock went back, or the limit was lowered. It is written down below even
  -- when refused: else the wait that is told would begin again after it.
  if v > now + most then v = now + most; clamped[i] = need > 0 end
  tat[i], offs[i] = v, off
  local avail = math.max(0, math.floor((now + off - v) / T[i]))
  if avail < grant and not force then grant = avail end
end
if grant < need then grant = 0 end
local out = {grant}
for i = 1, n do
  local v = math.min(tat[i] + grant * T[i], now + 2 * offs[i])
  if v < now then v = now end
  if grant ~= 0 or clamped[i] then
    if v > now then
      redis.call('SET', KEYS[i], string.format(v > now + offs[i] and '+%.0f' or '%.0f', v), 'PX', math.ceil((v - now) / 1000))
    else
      redis.call('DEL', KEYS[i])
    end
  end
  out[#out + 1] = v - now
end
return out
