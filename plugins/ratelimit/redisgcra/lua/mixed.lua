-- As bucket.lua, for what redis_rate and bucket.lua can't do: buckets in the
-- format of redis_rate and strict windows, all or none together.
-- KEYS: the counts of one caller, all with one {hash tag}.
-- ARGV: need, want, then kind, T, B and period for each key.
--   kind u: a bucket of bucket.lua, T in microseconds
--   kind s: a bucket of redis_rate, T in seconds; the value is in seconds since 2017
--   kind w: a window of B events in period microseconds; T is not used
-- Returns the grant and for each key remaining, reset, next and retry; the last
-- three in microseconds, retry before the grant and -1 for never.
local t = redis.call('TIME')
local us = tonumber(t[1]) * 1000000 + tonumber(t[2])
local need, want = tonumber(ARGV[1]), tonumber(ARGV[2])
local force = need < 0 and want > 0
local grant = want
local counts = {}

local function bucket(c, key, T, B)
  c.now, c.scale = us, 1
  if c.kind == 's' then
    c.now, c.scale = (tonumber(t[1]) - 1483228800) + tonumber(t[2]) / 1000000, 1000000
  end
  c.T, c.B, c.off = T, B, T * B
  local text = redis.call('GET', key) or '0'
  local v = tonumber(text) or 0
  local most = c.off
  if string.sub(text, 1, 1) == '+' then most = 2 * c.off end
  if not (v >= c.now) then v = c.now end
  if v > c.now + most then v = c.now + most; c.dirty = need > 0 end
  c.v = v
  c.avail = math.max(0, math.floor((c.now + c.off - v) / T))
  if need > B then
    c.retry = -1
  else
    c.retry = math.max(0, math.ceil((v + need * T - c.off - c.now) * c.scale))
    if need <= 0 then c.retry = 0 end
  end
end

-- The events are `start last n last n ...`: segments of a 60th of the period, each
-- forgotten one period after its last event.
local function window(c, key, B, period)
  c.B, c.period, c.used, c.start, c.last, c.n = B, period, 0, 0, {}, {}
  local numbers = {}
  for number in string.gmatch(redis.call('GET', key) or '', '%d+') do
    numbers[#numbers + 1] = tonumber(number)
  end
  c.start = math.min(numbers[1] or 0, us)
  for i = 2, math.min(#numbers - 1, 130), 2 do
    local last, n = math.min(numbers[i], us), numbers[i + 1]
    if last > us - period and n > 0 then
      c.last[#c.last + 1], c.n[#c.n + 1] = last, n
      c.used = c.used + n
    end
  end
  c.avail = math.max(0, B - c.used)
end

-- The time until no more than n events are left.
local function untilLeft(c, n)
  local used = c.used
  for i = 1, #c.last do
    if used <= n then return 0 end
    used = used - c.n[i]
    if used <= n then return c.last[i] + c.period - us end
  end
  return 0
end

for i = 1, #KEYS do
  local c = {kind = ARGV[4 * i - 1]}
  local T, B, period = tonumber(ARGV[4 * i]), tonumber(ARGV[4 * i + 1]), tonumber(ARGV[4 * i + 2])
  if c.kind == 'w' then
    window(c, KEYS[i], B, period)
    if need > B then
      c.retry = -1
    elseif need > 0 then
      c.retry = untilLeft(c, B - need)
    else
      c.retry = 0
    end
  else
    bucket(c, KEYS[i], T, B)
  end
  if c.avail < grant and not force then grant = c.avail end
  counts[i] = c
end
if grant < need then grant = 0 end

local function storeBucket(c, key)
  c.v = math.max(c.now, math.min(c.v + grant * c.T, c.now + 2 * c.off))
  if grant ~= 0 or c.dirty then
    if c.v > c.now then
      local text = string.format(c.kind == 's' and '%.17g' or '%.0f', c.v)
      if c.v > c.now + c.off then text = '+' .. text end
      redis.call('SET', key, text, 'PX', math.max(1, math.ceil((c.v - c.now) * c.scale / 1000)))
    else
      redis.call('DEL', key)
    end
  end
  local debt = c.v - c.now
  local left = math.max(0, math.floor((c.off - debt) / c.T))
  local next = 0
  if left < c.B then next = debt - (c.B - left - 1) * c.T end
  return left, math.ceil(debt * c.scale), math.ceil(next * c.scale)
end

local function storeWindow(c, key)
  local k = #c.last
  local grant = math.min(grant, math.max(0, 2 * c.B - c.used))
  if grant > 0 then
    if k > 0 and (us - c.start < math.ceil(c.period / 60) or k >= 62) then
      c.last[k], c.n[k] = us, c.n[k] + grant
    else
      c.start = us
      c.last[k + 1], c.n[k + 1] = us, grant
    end
    c.used = c.used + grant
  end
  local back = math.min(-grant, c.used)
  while back > 0 do
    local part = math.min(back, c.n[k])
    c.n[k], c.used, back = c.n[k] - part, c.used - part, back - part
    if c.n[k] == 0 then
      c.last[k], c.n[k] = nil, nil
      k, c.start = k - 1, 0
    end
  end
  if grant ~= 0 then
    if #c.last == 0 then
      redis.call('DEL', key)
    else
      local text = {string.format('%.0f', c.start)}
      for i = 1, #c.last do
        text[#text + 1] = string.format('%.0f %.0f', c.last[i], c.n[i])
      end
      redis.call('SET', key, table.concat(text, ' '), 'PX', math.ceil((c.last[#c.last] + c.period - us) / 1000))
    end
  end
  return math.max(0, c.B - c.used), untilLeft(c, 0), untilLeft(c, math.min(c.used, c.B) - 1)
end

local out = {grant}
for i = 1, #KEYS do
  local c = counts[i]
  local left, reset, next
  if c.kind == 'w' then
    left, reset, next = storeWindow(c, KEYS[i])
  else
    left, reset, next = storeBucket(c, KEYS[i])
  end
  out[#out + 1] = left
  out[#out + 1] = reset
  out[#out + 1] = next
  out[#out + 1] = c.retry
end
return out
