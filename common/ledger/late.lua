-- late: which turns should have begun by now, as Redis' own clock has it.
--
-- KEYS  1 deadlines
-- ARGV  1 how many at most
-- Returns   list of `session turn`, the longest overdue first

local time = redis.call('TIME')
local now_ms = string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000))
return redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now_ms, 'LIMIT', 0, ARGV[1])
