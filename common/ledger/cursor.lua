-- cursor: a listener with a name says what it has read of a session.
--
-- ARGV  5 name   6 cursor   7 how many names at most
-- Does      notes it, with the time: trimming spares what it has not read (trim.lua). Beyond the most names, the one that was
--           silent for longest is forgotten.
-- Refuses   nothing. Where there is no session there is nothing to trim, and nothing is noted.
-- Repeating is harmless.
-- Returns   JSON {}

local name, cursor, most = ARGV[5], ARGV[6], tonumber(ARGV[7])
local life_ms = redis.call('PTTL', SESSION)
if life_ms < 0 then return '{}' end
redis.call('HSET', CURSORS, name, cursor .. ' ' .. text(now_ms()))
while redis.call('HLEN', CURSORS) > most do
  local oldest, oldest_ms
  for other, report in pairs(to_table(redis.call('HGETALL', CURSORS))) do
    local at_ms = tonumber(report:match(' (%d+)$'))
    if other ~= name and (not oldest or at_ms < oldest_ms) then oldest, oldest_ms = other, at_ms end
  end
  redis.call('HDEL', CURSORS, oldest)
end
redis.call('PEXPIRE', CURSORS, life_ms)
return '{}'
