#pragma once

namespace fdchain::test {

/// Gives this process a network of its own with nothing in it but loopback: ports and abstract names cannot
/// meet another test's, and end with it. Once, for the whole process; an ordinary user gets a user namespace
/// with it.
void enter_private_network();

}  // namespace fdchain::test
