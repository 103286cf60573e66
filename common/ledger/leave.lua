-- leave: take a worker that holds nothing out of the group.
--
-- KEYS  1 dispatch
-- ARGV  1 worker
-- Does      deletes the consumer. Refuses one with pending messages: deleting it would lose them.
-- Repeating is harmless.
-- Returns   1 if it is gone, 0 if it still holds something

for _, held in ipairs(redis.call('XPENDING', KEYS[1], 'workers')[4] or {}) do
  if held[1] == ARGV[1] then return 0 end
end
redis.call('XGROUP', 'DELCONSUMER', KEYS[1], 'workers', ARGV[1])
return 1
