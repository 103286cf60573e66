-- renew: all that a worker holds and waits for, in one step.
--
-- ARGV  6 how many ids it holds, those ids; then each id that waits and its ticket
-- Does      puts off their ends by a lease. What has been forgotten (Redis was empty, or the worker was late) is entered
--           again: a stream that is open counts, even above the limit, and one that waits has its old place in the line.
-- Refuses   nothing.
-- Repeating is harmless.
-- Returns   those that were said to wait, and are held

local until_ms = text(NOW_MS + LEASE_MS)
local held = tonumber(ARGV[6])
for i = 7, 6 + held do
  redis.call('ZADD', HELD, until_ms, ARGV[i])
  redis.call('ZREM', WAITING, ARGV[i])
  redis.call('ZREM', PATIENCE, ARGV[i])
end
for i = 7 + held, #ARGV, 2 do
  local id = ARGV[i]
  if redis.call('ZSCORE', HELD, id) then
    redis.call('ZADD', HELD, until_ms, id)
  else
    redis.call('ZADD', WAITING, 'NX', ARGV[i + 1], id)
    redis.call('ZADD', PATIENCE, until_ms, id)
  end
end
sweep()
grant()

local granted = {}
for i = 7 + held, #ARGV, 2 do
  if redis.call('ZSCORE', HELD, ARGV[i]) then table.insert(granted, ARGV[i]) end
end
return answer(granted)
