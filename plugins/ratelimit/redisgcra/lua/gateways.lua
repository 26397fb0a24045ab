-- The gateways that share one Redis, each with the time until which it counts.
-- KEYS[1]: the list, `id=milliseconds;` for each.
-- ARGV: the id of the gateway that asks, and for how many milliseconds it counts.
-- Puts the gateway in and returns how many there are.
local t = redis.call('TIME')
local now = tonumber(t[1]) * 1000 + math.floor(tonumber(t[2]) / 1000)
local id, ttl = ARGV[1], tonumber(ARGV[2])
local list = { id .. '=' .. string.format('%.0f', now + ttl) .. ';' }
for other, ends in string.gmatch(redis.call('GET', KEYS[1]) or '', '(%w+)=(%d+);') do
  ends = tonumber(ends)
  if ends > now + ttl then ends = now + ttl end -- the clock went back
  if other ~= id and ends > now and #list < 1000 then
    list[#list + 1] = other .. '=' .. string.format('%.0f', ends) .. ';'
  end
end
redis.call('SET', KEYS[1], table.concat(list), 'PX', ttl)
return { #list }
