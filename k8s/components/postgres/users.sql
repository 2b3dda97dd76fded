-- The users of the prediction log beside its owner, with the passwords of the Secret `database`. What each may do stands in the
-- migrations, which grant it to the roles of these names.
\set writer `cat /database/writer`
\set reader `cat /database/reader`
SELECT 'CREATE ROLE windsock_writer LOGIN' WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'windsock_writer') \gexec
SELECT 'CREATE ROLE windsock_reader LOGIN' WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'windsock_reader') \gexec
ALTER ROLE windsock_writer PASSWORD :'writer';
ALTER ROLE windsock_reader PASSWORD :'reader';
