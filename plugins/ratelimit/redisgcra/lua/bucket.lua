-- GCRA on the buckets of one caller, all or none, in whole microseconds.
-- KEYS: the buckets, all with one {hash tag}.
-- ARGV: need, want, then T (microseconds a unit) and B (burst) for each key.
-- Grants what there is from need to want; need = want < 0 gives back.
-- Returns the grant and for each key the debt after it in microseconds.
local t = redis.call('TIME')
local now = tonumber(t[1]) * 1000000 + tonumber(t[2])
local need, want = tonumber(ARGV[1]), tonumber(ARGV[2])
local n = #KEYS
local tat, T, clamped = {}, {}, {}
local grant = want
for i = 1, n do
  T[i] = tonumber(ARGV[1 + 2 * i])
  local off = T[i] * tonumber(ARGV[2 + 2 * i])
  local v = tonumber(redis.call('GET', KEYS[i]) or '0') or 0
  if not (v >= now) then v = now end -- also catches NaN
  -- The clock went back, or the limit was lowered. It is written down below even
  -- when refused: else the wait that is told would begin again after it.
  if v > now + off then v = now + off; clamped[i] = need > 0 end
  tat[i] = v
  local avail = math.floor((now + off - v) / T[i])
  if avail < grant then grant = avail end
end
if grant < need then grant = 0 end
local out = {grant}
for i = 1, n do
  local v = tat[i] + grant * T[i]
  if v < now then v = now end
  if grant ~= 0 or clamped[i] then
    if v > now then
      redis.call('SET', KEYS[i], string.format('%.0f', v), 'PX', math.ceil((v - now) / 1000))
    else
      redis.call('DEL', KEYS[i])
    end
  end
  out[#out + 1] = v - now
end
return out
