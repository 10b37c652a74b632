// A payload that ends as soon as it has started.
int main(void) { return 0; }
