-- keep: a turn that is being spoken puts off the expiry of itself, of those that wait behind it, and of its session.
--
-- Does      lets each live for its own retention time from now on: a turn may speak for longer than that.
-- Refuses   nothing: what is gone stays gone.
-- Repeating is harmless.
-- Returns   JSON {}

local turns = redis.call('LRANGE', WAITING, 0, -1)
table.insert(turns, ARGV[4])
for _, turn in ipairs(turns) do
  local retention_ms = tonumber(redis.call('HGET', turn_key(turn), 'retention_ms') or nil)
  if retention_ms then touch(turn, retention_ms) end
end
return '{}'
