#include "cluster/change.h"

#include <stdio.h>

void node_change(struct node *node, struct change_request *request)
{
    struct change_answer answer = {.result = CHANGE_REFUSED, .word = "not_possible"};
    (void)node;
    snprintf(answer.sentence, sizeof answer.sentence, "Members cannot be changed.");
    request->on_changed(request, &answer);
}
