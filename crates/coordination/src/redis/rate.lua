-- GCRA. KEYS[1]: the key's theoretical arrival time in microseconds. ARGV: count, window in microseconds.
-- Returns allowed (0 or 1), remaining, retry after, reset after (microseconds).
local count = tonumber(ARGV[1])
local window = tonumber(ARGV[2])
local interval = window / count
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])

local base = tonumber(redis.call('GET', KEYS[1]) or now)
if base < now then
  base = now
elseif base > now + window then
  base = now + window
end

local ahead = base - now + interval
-- The stored time has a resolution of a quarter of a microsecond: this much grace keeps a burst at its full count.
if ahead > window + math.min(interval / 2, count / 4) then
  return { 0, 0, math.ceil(ahead - window), math.ceil(base - now) }
end
redis.call('SET', KEYS[1], string.format('%.3f', now + ahead), 'PX', math.ceil(ahead / 1000))
return { 1, math.max(0, math.floor((window - ahead) / interval + 0.01)), 0, math.ceil(ahead) }
