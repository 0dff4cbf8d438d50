#!/bin/sh
# The runner calls this when a job is over. A failure here fails the job.
exec /opt/ecsrunners/supervisor hook job-completed
