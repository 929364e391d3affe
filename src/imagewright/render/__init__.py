"""Events and reports as people, runners and programs read them. A renderer ends its match in `assert_never`."""
