-- report: what a worker says of itself. Redis 6.2 commands only.
--
-- KEYS  1 said   hash: worker → its last report (JSON)
--       2 at     sorted set: worker → when that was (ms)
-- ARGV  1 worker   2 report   3 ms after which a report is forgotten
-- Does      records it with Redis' own time; forgets the reports of others who have fallen silent.
-- Repeating is harmless.
-- Returns   when it was (ms)

local time = redis.call('TIME')
local now_ms = time[1] * 1000 + math.floor(time[2] / 1000)
local function text(number) return string.format('%.0f', number) end

redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
redis.call('ZADD', KEYS[2], text(now_ms), ARGV[1])
for _, worker in ipairs(redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', text(now_ms - ARGV[3]))) do
  redis.call('HDEL', KEYS[1], worker)
  redis.call('ZREM', KEYS[2], worker)
end
redis.call('PEXPIRE', KEYS[1], ARGV[3])
redis.call('PEXPIRE', KEYS[2], ARGV[3])
return text(now_ms)
