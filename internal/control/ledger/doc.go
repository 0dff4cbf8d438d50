// Package ledger keeps who works on which job: one item for each job, and one for
// each task that has claimed a job.
//
// It stores and decides nothing. Whoever changes an item has read it, and the
// change is refused if somebody else has changed it since: items carry a version.
// Two tasks that claim one job at the same time therefore cannot both get it, and a
// task that was taken for dead and was not cannot change what is no longer its own.
package ledger
