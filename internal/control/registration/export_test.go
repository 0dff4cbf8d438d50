package registration

// Looks is how many jobs are looked up in one request, as docs/registration.md says.
const Looks = looks
